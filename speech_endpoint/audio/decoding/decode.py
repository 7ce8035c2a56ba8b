"""From a file's bytes to a waveform, in memory.

Nothing here trusts the bytes, and nothing here can stop a library that hangs or crashes on them:
the endpoint runs it in a process of its own (`sandbox`).
"""

from __future__ import annotations

import mmap
from collections.abc import Callable

import numpy as np

from speech_endpoint.audio.decoding.file_decoder import DecodingOptions, FileDecoder
from speech_endpoint.audio.decoding.headers import split_joined
from speech_endpoint.audio.decoding.rendering import ChannelsChanged, Samples, Sink, TooLong
from speech_endpoint.audio.payload import invalid_inputs
from speech_endpoint.errors import InvalidRequest
from speech_endpoint.transcript import Waveform


def decode_audio(payload: bytes, pcm_rate_hz: int, max_audio_s: float) -> Waveform:
    """Decode a file that is trusted, in this process, to a mono waveform (samples,).

    Raises:
        InvalidRequest: see `decode`.
    """
    sink = MemorySink()
    decode(payload, DecodingOptions(max_audio_s, pcm_rate_hz), sink)
    return np.frombuffer(sink.content, np.float32)


def decode(
    payload: bytes | mmap.mmap,
    options: DecodingOptions,
    sink: Sink,
    on_progress: Callable[[float], None] = lambda position_s: None,
) -> tuple[int, list[str]]:
    """Decode a file into a sink: 16 kHz, its channels mixed or apart.

    Args:
        payload: a file in any container and codec of `formats`, or several joined with their
            headers. Without a container it is taken for 16-bit little-endian mono PCM if it looks
            like it.
        on_progress: called with how many seconds are decoded, about once a second of sound.

    Returns:
        The number of channels written, and warnings for the caller.

    Raises:
        InvalidRequest: nothing to decode, damaged, or beyond a limit.
        MemoryError: the file takes more memory than this process has.
    """
    decoder = FileDecoder(options, sink, on_progress)
    try:
        decoder.decode_pieces(split_joined(payload))
    except TooLong:
        raise invalid_inputs("too_long", _longer_than(options)) from None
    except ChannelsChanged:
        raise InvalidRequest(
            "parameters.channels",
            "invalid_value",
            "the number of channels changes within the file, so they cannot be kept apart; "
            "leave `channels` out",
        ) from None
    if not decoder.n_outputs or not sink.position():
        raise invalid_inputs("unreadable", "the audio holds no samples")
    return decoder.n_outputs, decoder.warnings


def _longer_than(options: DecodingOptions) -> str:
    what = "the channels together are" if options.apart else "the audio is"
    return f"{what} longer than the limit of {options.max_audio_s:g} seconds"


class MemorySink:
    """Samples in a buffer of this process; it grows in place and so holds hours of audio once."""

    def __init__(self) -> None:
        self.content = bytearray()

    def append(self, samples: Samples) -> None:
        """Add (samples, channels)."""
        self.content += samples.astype(np.float32).tobytes()

    def position(self) -> int:
        """How much is there, bytes."""
        return len(self.content)

    def truncate(self, position: int) -> None:
        """Forget what came after `position`."""
        del self.content[position:]
