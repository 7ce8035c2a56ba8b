"""What the decoder hears of a payload, in this process."""

from __future__ import annotations

import numpy as np

from speech_endpoint.audio.decoding.decode import MemorySink, decode
from speech_endpoint.audio.decoding.file_decoder import DecodingOptions
from speech_endpoint.transcript import Channels


def heard(
    payload: bytes, max_audio_s: float = 120, **options: object
) -> tuple[Channels, list[str]]:
    """(channels, samples), and warnings; `options` are those of `DecodingOptions`."""
    sink = MemorySink()
    n_channels, warnings = decode(payload, DecodingOptions(max_audio_s, **options), sink)
    return np.frombuffer(sink.content, np.float32).reshape(-1, n_channels).T, warnings
