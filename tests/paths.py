"""Where tests find the repository, the models and the recordings."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
MODELS = REPOSITORY / "models"
DATA = Path(os.environ.get("SPEECH_DATA", REPOSITORY.parent / "shared" / "data"))
