"""`speech deploy` as tests run it: in a small clone, with no token in what it prints."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result
from hub_stand_in import Hub
from hub_state import OWNER

from speech_endpoint.cli.main import main

SPEECH, LARGE, DRAFTER = "speech", "openai/whisper-large-v3", "distil-whisper/distil-large-v3"
CREATE = f"/v2/endpoint/{OWNER}"
COMMUNITY = ("--diarize", "community")


def small_clone(folder: Path) -> Path:
    """As much of the project as tells a clone from other folders, and what is never pushed."""
    files = {
        "handler.py": "door",
        "README.md": "hello",
        "requirements.txt": "torch\npyannote.audio>=4\n",
        "speech_endpoint/pipeline.py": "code",
        "speech_endpoint/__pycache__/pipeline.pyc": "compiled",
        "models/speaker-diarization/model.safetensors": "weights",
        "models/whisper-base/model.safetensors": "weights",
        "tests/data/austen.flac": "sound",
        ".env": "secret",
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def deploy(folder: Path, *arguments: str) -> Result:
    result = CliRunner().invoke(main, ["deploy", SPEECH, "--folder", str(folder), *arguments])
    assert isinstance(result.exception, SystemExit | None), result.exception
    assert "hf_Secret" not in result.output
    return result


def created(hub: Hub) -> dict:
    (body,) = hub.bodies("POST", CREATE)
    return body
