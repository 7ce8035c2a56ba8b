"""What is pushed, in the host's hands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from paths import AUSTEN, MODELS, REPOSITORY

from speech_endpoint.deployment.repository import local_files

ASK = """
import sys
from handler import EndpointHandler
answer = EndpointHandler(".")({"inputs": open(sys.argv[1], "rb").read(), "parameters": {}})
print(answer["text"], answer["speakers"][0]["speaker"])
"""


def test_what_is_pushed_transcribes_with_speakers_and_needs_nothing_else(tmp_path: Path) -> None:
    for name, content in local_files(REPOSITORY, "bundle").items():
        data = content if isinstance(content, bytes) else content.read_bytes()
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    env = os.environ | {
        "ASR_MODEL": str(MODELS / "whisper-tiny.en"),
        "ASSISTANT_MODEL": "",
        "DIARIZATION_MODEL": "models/speaker-diarization",
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": "",
    }
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(AUSTEN)],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "a more amiable woman" in done.stdout
    assert done.stdout.strip().endswith("SPEAKER_00")
