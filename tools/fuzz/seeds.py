"""Sound files to begin from: one of every format that can be written here, and the real ones."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np

from speech_endpoint.transcript import SAMPLE_RATE_HZ

REPOSITORY = Path(__file__).resolve().parent.parent.parent
CLIPS = REPOSITORY / "tests" / "data"
CLIP_S = (0.5, 2.0)
"""What seeds hold of a recording: short, so that thousands are decoded in a minute."""
MAX_REAL_FILE_BYTES = 1_000_000

# Muxer, encoder, rate in Hz, channels.
FORMATS = (
    ("wav", "pcm_s16le", 16_000, 1),
    ("wav", "pcm_s16le", 44_100, 2),
    ("wav", "pcm_f32le", 48_000, 1),
    ("wav", "pcm_mulaw", 8_000, 2),
    ("wav", "adpcm_ms", 16_000, 1),
    ("wav", "adpcm_ima_wav", 16_000, 1),
    ("w64", "pcm_s24le", 16_000, 1),
    ("aiff", "pcm_s16be", 16_000, 1),
    ("au", "pcm_mulaw", 8_000, 1),
    ("caf", "alac", 16_000, 1),
    ("caf", "pcm_s16le", 16_000, 2),
    ("voc", "pcm_u8", 16_000, 1),
    ("flac", "flac", 16_000, 1),
    ("flac", "flac", 48_000, 2),
    ("wv", "wavpack", 16_000, 1),
    ("tta", "tta", 16_000, 1),
    ("ogg", "vorbis", 16_000, 2),
    ("ogg", "libopus", 16_000, 1),
    ("mp3", "libmp3lame", 16_000, 1),
    ("mp3", "libmp3lame", 44_100, 2),
    ("mp2", "mp2", 16_000, 1),
    ("adts", "aac", 16_000, 1),
    ("latm", "aac", 16_000, 1),
    ("mp4", "aac", 44_100, 2),
    ("mp4", "alac", 16_000, 1),
    ("mov", "pcm_s16be", 16_000, 1),
    ("ipod", "aac", 16_000, 1),
    ("3gp", "libopencore_amrnb", 8_000, 1),
    ("amr", "libopencore_amrnb", 8_000, 1),
    ("matroska", "aac", 16_000, 1),
    ("matroska", "pcm_s16le", 16_000, 1),
    ("webm", "libopus", 48_000, 1),
    ("mpegts", "mp2", 16_000, 1),
    ("mpegts", "aac", 16_000, 1),
    ("mpeg", "mp2", 16_000, 1),
    ("avi", "libmp3lame", 16_000, 1),
    ("avi", "pcm_s16le", 16_000, 1),
    ("flv", "aac", 16_000, 1),
    ("ac3", "ac3", 48_000, 2),
    ("eac3", "eac3", 48_000, 1),
    ("rm", "real_144", 8_000, 1),
    ("nut", "pcm_s16le", 16_000, 1),
    ("g722", "g722", 16_000, 1),
    ("sox", "pcm_s32le", 16_000, 1),
)
TRACKS = (("matroska", ("aac", "libopus", "pcm_s16le")), ("mp4", ("aac", "alac")),
          ("mpegts", ("mp2", "aac")))  # fmt: skip


def corpus(recordings: Path | None = None) -> list[bytes]:
    """Files of every format, in an order that depends on nothing but the versions installed.

    Args:
        recordings: a directory of more files; those below MAX_REAL_FILE_BYTES are taken.
    """
    clip = speech()
    files = [encode(muxer, [codec], clip, rate, n) for muxer, codec, rate, n in FORMATS]
    files += [encode(muxer, codecs, clip, 48_000, 1) for muxer, codecs in TRACKS]
    files += [path.read_bytes() for path in _real_files(recordings)]
    return files


def encode(
    muxer: str, codecs: Sequence[str], clip: np.ndarray, rate_hz: int, channels: int
) -> bytes:
    """A file with one track a codec, the same bytes at every call.

    Args:
        clip: (samples,), int16, 16 kHz.
    """
    file = io.BytesIO()
    with av.open(file, "w", format=muxer, options={"fflags": "+bitexact"}) as container:
        layout = {1: "mono", 2: "stereo"}[channels]
        tracks = [container.add_stream(codec, rate=rate_hz, layout=layout) for codec in codecs]
        for track in tracks:
            track.options = {"strict": "experimental", "flags": "+bitexact"}
        container.start_encoding()
        for track in tracks:
            for packet in _packets(track, clip, rate_hz, layout):
                container.mux(packet)
    return file.getvalue()


def _packets(track: Any, clip: np.ndarray, rate_hz: int, layout: str) -> Iterator[Any]:
    frame = av.AudioFrame.from_ndarray(clip[None], format="s16", layout="mono")
    frame.sample_rate = SAMPLE_RATE_HZ
    resampler = av.AudioResampler(
        format=track.codec_context.format,
        layout=layout,
        rate=rate_hz,
        frame_size=track.codec_context.frame_size or None,
    )
    for resampled in (*resampler.resample(frame), *resampler.resample(None), None):
        yield from track.encode(resampled)


def speech() -> np.ndarray:
    """What somebody says in a second and a half: (samples,), int16, 16 kHz."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)
    with av.open(str(CLIPS / "austen.flac")) as container:
        frames = [f for frame in container.decode(audio=0) for f in resampler.resample(frame)]
    first, last = (round(time_s * SAMPLE_RATE_HZ) for time_s in CLIP_S)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])[first:last]


def _real_files(recordings: Path | None) -> list[Path]:
    directories = [CLIPS, *([recordings] if recordings and recordings.is_dir() else [])]
    return [
        path
        for directory in directories
        for path in sorted(directory.iterdir())
        if path.suffix != ".md" and path.stat().st_size <= MAX_REAL_FILE_BYTES
    ]
