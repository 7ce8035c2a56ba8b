"""A run that is killed again and again, at an endpoint that is short of room."""

from __future__ import annotations

import base64
import json
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from paths import REPOSITORY
from stand_in import ANSWER, Answer, StandIn, serving

pytestmark = pytest.mark.pure

N_FILES, N_KILLS = 20, 5
BUSY_EVERY = 4
"""So many requests, one is refused."""


class Endpoint(StandIn):
    """Answers with what it is sent, refuses now and then, and has its caller killed if told to."""

    def __init__(self) -> None:
        super().__init__([])
        self.asked = Counter[str]()
        self.kill: Callable[[], None] | None = None
        self.kill_at = 0
        """At which request from now on."""
        self.killed = threading.Event()

    def answer(self, body: bytes) -> Answer:
        audio = base64.b64decode(json.loads(body)["inputs"]).decode()
        with self.lock:
            n_before = self.asked.total()
            self.asked[audio] += 1
            self.kill_at -= 1
            left, kill = self.kill_at, self.kill
        if kill and left < 0:
            self.killed.wait()
        elif kill and left == 0 and n_before % 2:
            kill()
        elif kill and left == 0:
            # While it writes what it is answered.
            threading.Timer(random.uniform(0.0, 0.01), kill).start()
        if n_before % BUSY_EVERY == 0:
            return Answer(random.choice((429, 503)), {"error": "full"}, {"Retry-After": "0"})
        word = {"text": f" {audio}", "timestamp": [0.0, 0.5], "probability": 0.9}
        chunk = {"text": word["text"], "timestamp": [0.0, 0.5], "words": [word]}
        return Answer(200, ANSWER | {"text": word["text"], "chunks": [chunk], "speakers": []})


def _made(folder: Path) -> dict[str, int]:
    """When each output that the ledger knows was made."""
    ledger: dict[str, str] = {}
    if (folder / ".speech.jsonl").exists():
        for line in (folder / ".speech.jsonl").read_text().splitlines():
            ledger |= json.loads(line)
    return {name: (folder / name).stat().st_mtime_ns for name, made in ledger.items() if made}


def test_twenty_files_killed_five_times_are_twenty_right_outputs_each_made_once(
    tmp_path: Path,
) -> None:
    random.seed(1)
    recordings, out = tmp_path / "in", tmp_path / "out"
    recordings.mkdir()
    for n in range(N_FILES):
        (recordings / f"{n}.mp3").write_text(f"recording {n}")
    made: dict[str, int] = {}
    with serving(Endpoint()) as server:
        command = [sys.executable, "-m", "speech_endpoint.cli", "transcribe", str(recordings)]
        command += ["-o", str(out), "--endpoint", server.url]
        for _ in range(N_KILLS):
            server.killed.clear()
            server.kill_at = random.randint(1, 5)
            process = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.DEVNULL)
            server.kill = process.kill
            assert process.wait(60) == -9
            server.killed.set()
            now = _made(out)
            assert made.items() <= now.items()
            made = now
        server.kill = None
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert made.items() <= _made(out).items()
    assert done.stderr.count("there already") == len(made)
    written = {path.name: path.read_text() for path in out.iterdir() if path.name[0] != "."}
    assert written == {f"{n}.txt": f"recording {n}\n" for n in range(N_FILES)}
