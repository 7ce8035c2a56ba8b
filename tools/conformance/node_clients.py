"""Clients for Node, run by the scripts in `node`."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from tools.conformance.row import Broken, NotInstalled, Row, expect
from tools.conformance.target import SPOKEN, TIMEOUT_S, Target

SCRIPTS = Path(__file__).parent / "node"


@lru_cache(maxsize=2)
def told(script: str, url: str, key: str, clip: Path) -> dict[str, Any]:
    """What a script saw, once for all rows."""
    if shutil.which("node") is None:
        raise NotInstalled("node")
    if not (SCRIPTS / "node_modules").is_dir():
        raise NotInstalled("node_modules")
    command = ["node", str(SCRIPTS / script), url, key, str(clip)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=5 * TIMEOUT_S
    )
    if done.returncode:
        raise Broken(done.stderr[-200:])
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def seen(script: str, part: str, check: Callable[[Any], None]) -> Callable[[Target], None]:
    """A check of a part of what a script saw."""

    def check_part(target: Target) -> None:
        value = told(script, target.url, target.key, target.clip)[part]
        if isinstance(value, dict) and "failed" in value:
            raise Broken(value["failed"])
        check(value)

    return check_part


def json_answer(answer: Any) -> None:
    expect(SPOKEN in answer["text"].lower(), f"another text: {answer['text'][:60]!r}")


def srt_answer(answer: Any) -> None:
    expect(isinstance(answer, str) and "-->" in answer, f"{answer!r:.80}")


def verbose_answer(answer: Any) -> None:
    expect(type(answer["duration"]) in (int, float), f"duration {answer['duration']!r}")
    expect(answer.get("segments") and answer.get("words"), "no segments, or no words")


def stream_events(events: Any) -> None:
    deltas = [each["delta"] for each in events if each["type"] == "transcript.text.delta"]
    done = [each["text"] for each in events if each["type"] == "transcript.text.done"]
    expect(done == ["".join(deltas)], f"done {done}")


def refusal(error: Any) -> None:
    expect(error.get("kind") == "BadRequestError", f"{error}")
    expect(error.get("param") == "response_format", f"param {error.get('param')!r}")


NODE, HUB = "openai (Node)", "@huggingface/inference"
ROWS = (
    Row("openai", NODE, "json", seen("openai.mjs", "json", json_answer)),
    Row("openai", NODE, "srt as a string", seen("openai.mjs", "srt", srt_answer)),
    Row("openai", NODE, "verbose_json", seen("openai.mjs", "verbose", verbose_answer)),
    Row("openai", NODE, "stream: deltas = done.text", seen("openai.mjs", "stream", stream_events)),
    Row("openai", NODE, "BadRequestError with param", seen("openai.mjs", "refusal", refusal)),
    Row("hugging face", HUB, "text", seen("huggingface.mjs", "told", json_answer)),
)
