"""The command line and the server together: `speech serve`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import httpx
import pytest
from paths import AUSTEN, REPOSITORY

WORDS = "more amiable woman"
COMMAND = (sys.executable, "-m", "speech_endpoint.cli")


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[subprocess.Popen[str], str]]:
    options = ("--port=0", "--asr-model=models/whisper-tiny.en", "--log-format=text")
    process = subprocess.Popen(
        [*COMMAND, "serve", *options, "--drain-delay-s=0"],
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    lines = (line for line in process.stderr if "running on" in line)
    url = next(lines).partition("running on ")[2].split()[0]
    # A log that nobody reads would hold the server up.
    threading.Thread(target=process.stderr.read, daemon=True).start()
    yield process, url
    process.kill()


def _until_ready(url: str) -> None:
    with httpx.Client(timeout=60) as client:
        while client.get(url + "/ready").status_code != 200:
            pass


def test_it_serves_until_it_is_interrupted(server: tuple[subprocess.Popen[str], str]) -> None:
    process, url = server
    _until_ready(url)
    with AUSTEN.open("rb") as file:
        answer = httpx.post(url + "/v1/audio/transcriptions", files={"file": file}, timeout=60)
    assert WORDS in answer.json()["text"]
    command = (*COMMAND, "transcribe", str(AUSTEN), "--endpoint", url, "--json-lines")
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    said = [json.loads(line) for line in done.stderr.splitlines()]
    assert WORDS in done.stdout and said[-1]["status"] == "done"
    assert any(WORDS in line["text"] for line in said if line["status"] == "working")
    assert "<title>" in httpx.get(url).text
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
