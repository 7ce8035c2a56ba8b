"""Processes that measure one thing each: told what by JSON on their command line, they answer in one line of JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
# Libraries print as they like: the answer is the line that begins with this.
MARK = "RESULT "
TIMEOUT_S = 3600.0

# The endpoint under test: the same models for every section.
ASR_MODEL = "models/whisper-base"
ASSISTANT_MODEL = "models/whisper-tiny.en"
DIARIZATION_MODEL = "models/speaker-diarization"


def environment(threads: int) -> dict[str, str]:
    """This process's environment with `threads` for every library that computes, nothing fetched, nothing reported."""
    count = str(threads)
    return os.environ | {
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "PYANNOTE_METRICS_ENABLED": "0",
        "PYTHONWARNINGS": "ignore",
    }


def call(
    module: str, task: Mapping[str, Any], threads: int, interpreter: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Run `python -m MODULE TASK` in a process of its own and return what it answers.

    Raises:
        RuntimeError: it failed; the message ends with what it wrote last.
    """
    done = subprocess.run(
        [sys.executable, *interpreter, "-m", module, json.dumps(task)],
        cwd=REPOSITORY,
        env=environment(threads),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    for line in reversed(done.stdout.splitlines()):
        if line.startswith(MARK):
            found: dict[str, Any] = json.loads(line.removeprefix(MARK))
            return found | ({"stderr": done.stderr} if interpreter else {})
    raise RuntimeError(
        f"{module} ended with {done.returncode} and no answer: {done.stderr[-2000:]}"
    )


def answer(found: Mapping[str, Any]) -> None:
    """What the process found, to the one that started it."""
    print(MARK + json.dumps(found), flush=True)


def task() -> dict[str, Any]:
    """What this process was told to measure."""
    told: dict[str, Any] = json.loads(sys.argv[1])
    return told
