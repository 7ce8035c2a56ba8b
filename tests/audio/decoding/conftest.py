"""Files as recorders, browsers and tools leave them, made of real speech."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from fractions import Fraction

import av
import numpy as np
import pytest
from paths import AUSTEN

from speech_endpoint.audio.decoding.decode import decode_audio
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Waveform

Piece = tuple[float, Waveform]
"""When it begins, seconds, and its samples."""


@pytest.fixture(scope="session")
def speech() -> Waveform:
    return decode_audio(AUSTEN.read_bytes(), SAMPLE_RATE_HZ, 60)


@pytest.fixture(scope="session")
def movie() -> Callable[..., bytes]:
    """A Matroska film: PCM tracks of timed pieces, beside a picture that begins at 0."""

    def make(*tracks: Sequence[Piece], picture_s: float = 0.0) -> bytes:
        file = io.BytesIO()
        with av.open(file, "w", format="matroska") as out:
            picture = out.add_stream("mpeg4", rate=10) if picture_s else None
            if picture is not None:
                picture.width, picture.height, picture.pix_fmt = 64, 64, "yuv420p"
            streams = [
                out.add_stream("pcm_s16le", rate=SAMPLE_RATE_HZ, layout="mono") for _ in tracks
            ]
            for number in range(round(picture_s * 10) if picture_s else 0):
                image = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
                image = image.reformat(format="yuv420p")
                image.pts, image.time_base = number, Fraction(1, 10)
                out.mux(picture.encode(image))
            for stream, pieces in zip(streams, tracks, strict=True):
                for start_s, samples in pieces:
                    frame = av.AudioFrame.from_ndarray(
                        (samples.clip(-1, 1) * 32767).astype("<i2")[None],
                        format="s16",
                        layout="mono",
                    )
                    frame.sample_rate = SAMPLE_RATE_HZ
                    frame.pts = round(start_s * SAMPLE_RATE_HZ)
                    frame.time_base = Fraction(1, SAMPLE_RATE_HZ)
                    out.mux(stream.encode(frame))
        return file.getvalue()

    return make


@pytest.fixture(scope="session")
def mp3() -> Callable[..., bytes]:
    """MPEG audio frames and nothing else: no tag, no header that counts them."""

    def make(samples: Waveform, rate_hz: int = SAMPLE_RATE_HZ, bit_rate: int = 64_000) -> bytes:
        encoder = av.CodecContext.create("libmp3lame", "w")
        encoder.sample_rate, encoder.layout, encoder.format = rate_hz, "mono", "s16p"
        encoder.bit_rate, encoder.time_base = bit_rate, Fraction(1, rate_hz)
        frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        resampler = av.AudioResampler(format="s16p", layout="mono", rate=rate_hz, frame_size=1152)
        frames = [*resampler.resample(frame), *resampler.resample(None)]
        return b"".join(
            bytes(packet) for each in [*frames, None] for packet in encoder.encode(each)
        )

    return make
