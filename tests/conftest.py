"""Real models, real audio: what every test shares."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from paths import DATA, MODELS, PHONE_CALL, REPOSITORY

# Tests import pyannote themselves, which reports to its makers unless it is told not to before.
os.environ["PYANNOTE_METRICS_ENABLED"] = "0"


@pytest.fixture(scope="session")
def data() -> Path:
    """Recordings with references; see CONTRIBUTING.md."""
    if not DATA.is_dir():
        pytest.skip(f"no recordings in {DATA}; set SPEECH_DATA")
    return DATA


@pytest.fixture(scope="session")
def environment() -> Iterator[None]:
    """The environment of an endpoint with every model."""
    patch = pytest.MonkeyPatch()
    patch.setenv("ASR_MODEL", "models/whisper-base")
    patch.setenv("ASSISTANT_MODEL", "models/whisper-tiny.en")
    patch.setenv("DIARIZATION_MODEL", "models/speaker-diarization")
    yield
    patch.undo()


@pytest.fixture(scope="session")
def handler(environment: None):
    """The endpoint, as the host makes it."""
    torch.manual_seed(0)
    from handler import EndpointHandler

    return EndpointHandler(str(REPOSITORY))


@pytest.fixture(scope="session")
def wav():
    """Encodes a waveform (samples,) or (channels, samples) at a rate as the bytes of a WAV file."""
    import io
    import wave

    def encode(waveform: np.ndarray, rate: int = 16_000) -> bytes:
        channels = np.atleast_2d(waveform)
        file = io.BytesIO()
        with wave.open(file, "wb") as out:
            out.setnchannels(len(channels))
            out.setsampwidth(2)
            out.setframerate(rate)
            out.writeframes((channels.T.clip(-1, 1) * 32767).astype("<i2").tobytes())
        return file.getvalue()

    return encode


class Conversation(NamedTuple):
    """A recording and who speaks when in it."""

    waveform: np.ndarray
    """(samples,), mono, 16 kHz."""
    reference: object
    """A pyannote.core.Annotation."""


def _read_conversation(audio: Path) -> Conversation:
    from pyannote.database.util import load_rttm

    from speech_endpoint.audio.decoding.decode import decode_audio

    (reference,) = load_rttm(audio.with_suffix(".rttm")).values()
    return Conversation(decode_audio(audio.read_bytes(), 16_000, 3600.0), reference)


@pytest.fixture(scope="session")
def phone_call() -> Conversation:
    """Half a minute of two people on the telephone, which pyannote.audio comes with."""
    return _read_conversation(PHONE_CALL)


@pytest.fixture(scope="session")
def conversation(data: Path) -> Callable[[str], Conversation]:
    """Reads one of the conversations of the test data by its name."""
    return lambda name: _read_conversation(data / "conversations" / f"{name}.flac")


@pytest.fixture(scope="session")
def diarization_bundle() -> Path:
    """The diarization pipeline that `make models` builds."""
    bundle = MODELS / "speaker-diarization"
    if not (bundle / "config.json").is_file():
        pytest.skip("no diarization pipeline; run make models")
    return bundle
