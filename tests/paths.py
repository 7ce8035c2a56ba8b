"""Where tests find the repository, the models and the recordings."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
MODELS = REPOSITORY / "models"
DATA = Path(os.environ.get("SPEECH_DATA", REPOSITORY.parent / "shared" / "data"))
"""More recordings, with references; tests that need them are skipped where they are not."""


def _phone_call() -> Path:
    spec = importlib.util.find_spec("pyannote.audio")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "sample" / "sample.wav"


PHONE_CALL = _phone_call()
"""Half a minute of two people on the telephone, with its RTTM: pyannote.audio comes with it."""
CLIPS = REPOSITORY / "tests" / "data"
AUSTEN, KENNEDY = CLIPS / "austen.flac", CLIPS / "kennedy.ogg"
"""Six and eleven seconds; tests/data/README.md has their words."""
