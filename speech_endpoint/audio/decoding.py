"""From a request's payload to a waveform, in memory.

A waveform is a float32 array, shape (samples,), 16 kHz, in [-1, 1].
"""

from __future__ import annotations

import base64
import binascii
import io
from typing import Any

import av
import numpy as np

from speech_endpoint.transcript import SAMPLE_RATE_HZ

PCM_BYTES_PER_SAMPLE, FLOAT_BYTES = 2, 4
# Shorter payloads without a container are refused: 10 ms of PCM is nobody's recording.
MIN_BYTES = 16
# Their headers say how long the whole is; others' may be written before the end is known.
FORMATS_WITH_LENGTH = frozenset({"mp3", "flac"})


class AudioError(ValueError):
    """The caller's audio cannot be used; the message says why."""


def payload_bytes(inputs: Any, max_bytes: int) -> bytes:
    """The audio file's bytes from `inputs`: bytes as they are, or base64 text.

    Text may be standard or URL-safe base64, with or without padding, line breaks or a `data:…;base64,` prefix.

    Raises:
        AudioError: empty, not base64, of another type, or more than `max_bytes`.
    """
    if isinstance(inputs, (bytes, bytearray, memoryview)):
        payload = bytes(inputs)
    elif isinstance(inputs, str):
        payload = _from_base64(inputs, max_bytes)
    else:
        raise AudioError(
            f"inputs: expected base64 text or bytes of an audio file, got {type(inputs).__name__}"
        )
    if not payload:
        raise AudioError("inputs: empty; give the bytes of an audio file, or their base64 text")
    if len(payload) > max_bytes:
        raise AudioError(
            f"inputs: {len(payload):,} bytes of audio; at most {max_bytes:,} are allowed"
        )
    return payload


def _from_base64(text: str, max_bytes: int) -> bytes:
    if len(text) > max_bytes * 1.5 + 1024:
        raise AudioError(
            f"inputs: {len(text):,} characters of base64; at most {max_bytes:,} bytes of audio are allowed"
        )
    if text.lstrip()[:5].lower() == "data:":
        text = text.partition(",")[2]
    text = "".join(text.split()).rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise AudioError(
            "inputs: the text is not valid base64 (expected the base64 of an audio file)"
        ) from None


def decode_audio(payload: bytes, pcm_rate_hz: int, max_audio_s: float) -> np.ndarray:
    """Decode any container and codec that FFmpeg reads to a waveform (samples,): its channels mixed, at 16 kHz.

    A payload with no container is taken for 16-bit little-endian mono PCM of `pcm_rate_hz` when it looks like it.

    Raises:
        AudioError: nothing to decode, damaged, no audio track, or longer than `max_audio_s` seconds.
    """
    return _decode(payload, pcm_rate_hz, max_audio_s, mix=True)[0]


def decode_channels(payload: bytes, pcm_rate_hz: int, max_audio_s: float) -> np.ndarray:
    """The same with its channels kept apart: (channels, samples)."""
    return _decode(payload, pcm_rate_hz, max_audio_s, mix=False)


def _decode(payload: bytes, pcm_rate_hz: int, max_audio_s: float, *, mix: bool) -> np.ndarray:
    try:
        with av.open(io.BytesIO(payload), mode="r", metadata_errors="ignore") as container:
            waveform = _decode_container(container, max_audio_s, mix=mix)
    except av.error.InvalidDataError:
        waveform = _decode_pcm(payload, pcm_rate_hz, max_audio_s)
    except av.error.FFmpegError as error:
        raise AudioError(f"inputs: the audio is damaged or cut short ({error.strerror})") from None
    if waveform.size == 0:
        raise AudioError("inputs: the audio holds no samples")
    return waveform


def _decode_container(container: Any, max_audio_s: float, *, mix: bool) -> np.ndarray:
    if not container.streams.audio:
        raise AudioError("inputs: the file has no audio track")
    layout = "mono" if mix else container.streams.audio[0].codec_context.layout
    resampler = av.AudioResampler(format="flt", layout=layout, rate=SAMPLE_RATE_HZ)
    channels = resampler.layout.nb_channels
    samples = bytearray()
    bytes_per_s = SAMPLE_RATE_HZ * channels * FLOAT_BYTES
    try:
        for frame in container.decode(container.streams.audio[0]):
            # Timestamps of damaged or joined streams jump; the samples themselves are what is there.
            frame.pts = None
            _append(samples, resampler.resample(frame))
            if len(samples) > max_audio_s * bytes_per_s:
                raise AudioError(
                    f"inputs: the audio is longer than the limit of {max_audio_s:g} seconds"
                )
    except av.error.FFmpegError as error:
        if not isinstance(error, EOFError):
            at = len(samples) / bytes_per_s
            raise AudioError(
                f"inputs: the audio is damaged or cut short after {at:.1f} s ({error.strerror})"
            ) from None
    if samples:
        _append(samples, resampler.resample(None))
    waveform = _waveform(samples, channels)
    _check_complete(container, waveform.shape[1] / SAMPLE_RATE_HZ)
    # A minute at a time: what is not finite is looked for in three masks of the same size.
    for first in range(0, waveform.shape[1], 60 * SAMPLE_RATE_HZ):
        minute = waveform[:, first : first + 60 * SAMPLE_RATE_HZ]
        np.nan_to_num(minute, copy=False, nan=0.0, posinf=1.0, neginf=-1.0)
    return waveform


def _check_complete(container: Any, held_s: float) -> None:
    """Refuse an upload that broke off: half a conversation must not pass for a whole one."""
    if container.format.name not in FORMATS_WITH_LENGTH or not container.duration:
        return
    promised_s = container.duration / av.time_base
    if held_s < 0.9 * promised_s and promised_s - held_s > 1.0:
        raise AudioError(
            f"inputs: the audio is cut short: its header promises {promised_s:.1f} s, {held_s:.1f} s are there"
        )


def _append(samples: bytearray, frames: list[Any]) -> None:
    """Take the frames in: a buffer that grows in place holds hours of it once, a list of arrays twice."""
    for frame in frames:
        samples += memoryview(frame.to_ndarray()).cast("B")


def _waveform(samples: bytearray, channels: int) -> np.ndarray:
    """Interleaved float32 -> (channels, samples)."""
    return np.ascontiguousarray(np.frombuffer(samples, np.float32).reshape(-1, channels).T)


def _decode_pcm(payload: bytes, rate_hz: int, max_audio_s: float) -> np.ndarray:
    if len(payload) < MIN_BYTES or not _looks_like_pcm(payload):
        raise AudioError(
            "inputs: not an audio file FFmpeg can read, nor 16-bit PCM "
            "(text, or a file that is damaged or cut short before its audio begins?)"
        )
    if len(payload) > max_audio_s * rate_hz * PCM_BYTES_PER_SAMPLE:
        raise AudioError(f"inputs: the audio is longer than the limit of {max_audio_s:g} seconds")
    samples = np.frombuffer(
        payload[: len(payload) // PCM_BYTES_PER_SAMPLE * PCM_BYTES_PER_SAMPLE], dtype="<i2"
    )
    frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
    frame.sample_rate = rate_hz
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE_HZ)
    resampled = bytearray()
    for part in (frame, None):
        _append(resampled, resampler.resample(part))
    return _waveform(resampled, 1)


def _looks_like_pcm(payload: bytes) -> bool:
    """Whether neighbouring 16-bit samples resemble one another, as sound does and text or packed data do not."""
    samples = np.frombuffer(payload[: len(payload) // 2 * 2], dtype="<i2").astype(np.float64)
    if not samples.any():
        return True
    power = float(np.mean((samples - samples.mean()) ** 2))
    return power == 0 or float(np.mean(np.diff(samples) ** 2)) < power
