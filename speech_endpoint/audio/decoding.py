"""From a request's payload to a waveform, in memory."""

from __future__ import annotations

import base64
import binascii
import io
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from speech_endpoint.errors import InvalidRequest
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Channels, Waveform

PCM_BYTES_PER_SAMPLE = 2
FLOAT_BYTES_PER_SAMPLE = 4
# Eight samples of PCM: fewer cannot be told from any other bytes.
MIN_PCM_BYTES = 16
# Their headers give the length of the whole; other formats' may be written before it is known.
FORMATS_WITH_LENGTH = frozenset({"mp3", "flac"})


def payload_bytes(inputs: Any, max_bytes: int) -> bytes:
    """The bytes of the audio file that `inputs` holds.

    Args:
        inputs: bytes, or base64 text: standard or URL-safe, with or without padding, line breaks or
            a `data:…;base64,` prefix.
        max_bytes: the largest audio file.

    Raises:
        InvalidRequest: empty, not base64, of another type, or more than `max_bytes`.
    """
    if isinstance(inputs, (bytes, bytearray, memoryview)):
        payload = bytes(inputs)
    elif isinstance(inputs, str):
        payload = _from_base64(inputs, max_bytes)
    else:
        raise _invalid_inputs(
            "invalid_type",
            f"expected base64 text or bytes of an audio file, got {type(inputs).__name__}",
        )
    if not payload:
        raise _invalid_inputs(
            "missing", "empty; give the bytes of an audio file, or their base64 text"
        )
    if len(payload) > max_bytes:
        raise _invalid_inputs(
            "too_large", f"{len(payload):,} bytes of audio; at most {max_bytes:,} are allowed"
        )
    return payload


def _from_base64(text: str, max_bytes: int) -> bytes:
    # Before any copy of it is made: base64 takes 4/3 of the bytes, line breaks a little more.
    if len(text) > max_bytes * 1.5 + 1024:
        raise _invalid_inputs(
            "too_large",
            f"{len(text):,} characters of base64; at most {max_bytes:,} bytes of audio are allowed",
        )
    if text.lstrip()[:5].lower() == "data:":
        text = text.partition(",")[2]
    text = "".join(text.split()).rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise _invalid_inputs(
            "invalid_value",
            "the text is not valid base64 (expected the base64 of an audio file)",
        ) from None


def decode_audio(payload: bytes, pcm_rate_hz: int, max_audio_s: float) -> Waveform:
    """Decode an audio file to a mono waveform.

    Args:
        payload: a file in any container and codec that FFmpeg reads; its channels are mixed.
            Without a container it is taken for 16-bit little-endian mono PCM if it looks like it.
        pcm_rate_hz: the sampling rate of such PCM.
        max_audio_s: the longest audio, seconds.

    Returns:
        (samples,), at 16 kHz.

    Raises:
        InvalidRequest: nothing to decode, damaged, no audio track, or longer than `max_audio_s`.
    """
    return _decode(payload, pcm_rate_hz, max_audio_s, mix=True)[0]


def decode_channels(payload: bytes, pcm_rate_hz: int, max_audio_s: float) -> Channels:
    """Decode an audio file to one waveform per channel.

    Args:
        payload: a file in any container and codec that FFmpeg reads. Without a container it is
            taken for 16-bit little-endian mono PCM if it looks like it.
        pcm_rate_hz: the sampling rate of such PCM.
        max_audio_s: the longest audio, seconds.

    Returns:
        (channels, samples), at 16 kHz.

    Raises:
        InvalidRequest: nothing to decode, damaged, no audio track, or longer than `max_audio_s`.
    """
    return _decode(payload, pcm_rate_hz, max_audio_s, mix=False)


def _decode(payload: bytes, pcm_rate_hz: int, max_audio_s: float, *, mix: bool) -> Channels:
    """Decode an audio file, to a single channel if its channels are to be mixed."""
    try:
        with av.open(io.BytesIO(payload), mode="r", metadata_errors="ignore") as container:
            channels = _decode_container(container, max_audio_s, mix=mix)
    except av.error.InvalidDataError:
        channels = _decode_pcm(payload, pcm_rate_hz, max_audio_s)
    except av.error.FFmpegError as error:
        raise _invalid_inputs(
            "unreadable", f"the audio is damaged or cut short ({error.strerror})"
        ) from None
    if channels.size == 0:
        raise _invalid_inputs("unreadable", "the audio holds no samples")
    return channels


def _decode_container(container: Any, max_audio_s: float, *, mix: bool) -> Channels:
    if not container.streams.audio:
        raise _invalid_inputs("unreadable", "the file has no audio track")
    layout = "mono" if mix else container.streams.audio[0].codec_context.layout
    resampler = av.AudioResampler(format="flt", layout=layout, rate=SAMPLE_RATE_HZ)
    n_channels = resampler.layout.nb_channels
    samples = bytearray()
    bytes_per_s = SAMPLE_RATE_HZ * n_channels * FLOAT_BYTES_PER_SAMPLE
    try:
        for frame in container.decode(container.streams.audio[0]):
            # Timestamps of damaged or joined streams jump; what counts is the samples themselves.
            frame.pts = None
            _append(samples, resampler.resample(frame))
            if len(samples) > max_audio_s * bytes_per_s:
                raise _invalid_inputs("too_long", _longer_than(max_audio_s))
    except av.error.FFmpegError as error:
        if not isinstance(error, EOFError):
            decoded_s = len(samples) / bytes_per_s
            raise _invalid_inputs(
                "unreadable",
                f"the audio is damaged or cut short after {decoded_s:.1f} s ({error.strerror})",
            ) from None
    if samples:
        _append(samples, resampler.resample(None))
    channels = _deinterleave(samples, n_channels)
    _check_complete(container, channels.shape[1] / SAMPLE_RATE_HZ)
    # A minute at a time: nan_to_num makes three masks as large as its argument.
    for first in range(0, channels.shape[1], 60 * SAMPLE_RATE_HZ):
        minute = channels[:, first : first + 60 * SAMPLE_RATE_HZ]
        np.nan_to_num(minute, copy=False, nan=0.0, posinf=1.0, neginf=-1.0)
    return channels


def _check_complete(container: Any, decoded_s: float) -> None:
    """Refuse an upload that broke off: half a conversation must not pass for the whole."""
    if container.format.name not in FORMATS_WITH_LENGTH or not container.duration:
        return
    declared_s = container.duration / av.time_base
    if decoded_s < 0.9 * declared_s and declared_s - decoded_s > 1.0:
        raise _invalid_inputs(
            "unreadable",
            f"the audio is cut short: its header promises {declared_s:.1f} s, "
            f"{decoded_s:.1f} s are there",
        )


def _invalid_inputs(code: str, message: str) -> InvalidRequest:
    """The error for audio that cannot be used; see `InvalidRequest` for the codes."""
    return InvalidRequest("inputs", code, message)


def _longer_than(max_audio_s: float) -> str:
    return f"the audio is longer than the limit of {max_audio_s:g} seconds"


def _append(samples: bytearray, frames: list[Any]) -> None:
    """Append the frames' samples, interleaved, to a buffer.

    It grows in place and so holds hours of audio once; joining a list of arrays would hold them
    twice.
    """
    for frame in frames:
        samples += memoryview(frame.to_ndarray()).cast("B")


def _deinterleave(samples: bytearray, n_channels: int) -> Channels:
    """The channels of interleaved float32 samples."""
    return np.ascontiguousarray(np.frombuffer(samples, np.float32).reshape(-1, n_channels).T)


def _decode_pcm(payload: bytes, rate_hz: int, max_audio_s: float) -> Channels:
    if len(payload) < MIN_PCM_BYTES or not _looks_like_pcm(payload):
        raise _invalid_inputs(
            "unreadable",
            "not an audio file FFmpeg can read, nor 16-bit PCM "
            "(text, or a file that is damaged or cut short before its audio begins?)",
        )
    if len(payload) > max_audio_s * rate_hz * PCM_BYTES_PER_SAMPLE:
        raise _invalid_inputs("too_long", _longer_than(max_audio_s))
    samples = _pcm_samples(payload)
    frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
    frame.sample_rate = rate_hz
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE_HZ)
    resampled = bytearray()
    for part in (frame, None):
        _append(resampled, resampler.resample(part))
    return _deinterleave(resampled, 1)


def _pcm_samples(payload: bytes) -> npt.NDArray[np.int16]:
    """The 16-bit samples of a payload; an odd last byte is left out."""
    return np.frombuffer(payload, dtype="<i2", count=len(payload) // PCM_BYTES_PER_SAMPLE)


def _looks_like_pcm(payload: bytes) -> bool:
    """Whether neighbouring samples are alike: those of sound are, text and packed data are not."""
    samples = _pcm_samples(payload).astype(np.float64)
    if not samples.any():
        return True
    power = float(np.mean((samples - samples.mean()) ** 2))
    return power == 0 or float(np.mean(np.diff(samples) ** 2)) < power
