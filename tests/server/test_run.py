"""How a server's process begins, ends, and says what it does meanwhile."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from paths import REPOSITORY
from process import HERE, ROUTE, Process, until_ready
from scripted import TEXT
from served import ScriptedService, Served

from speech_endpoint.server.app import create_app
from speech_endpoint.server.settings import ServerSettings

pytestmark = pytest.mark.pure

SCRIPT = HERE / "serve_script.py"


class ScriptedProcess(Process):
    """A server whose loading and work take as long as a test says."""

    def __init__(self, directory: Path, **environment: str) -> None:
        self.directory = directory
        super().__init__(str(SCRIPT), SCRIPT_DIRECTORY=str(directory), **environment)

    def let(self, what: str) -> None:
        (self.directory / what).touch()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[ScriptedProcess]:
    process = ScriptedProcess(tmp_path)
    assert process.listening.wait(60), process.lines
    yield process
    process.process.kill()


def test_s14_s16_a_server_says_that_it_loads_and_ends_when_its_answers_are_given(
    process: ScriptedProcess,
) -> None:
    with httpx.Client(timeout=30) as client:
        assert client.get(process.url + "/health").status_code == 200
        ready = client.get(process.url + "/ready")
        assert ready.status_code == 503 and ready.json()["status"] == "loading"
        assert client.get(process.url + "/ping").status_code == 204
        early = client.post(process.url + ROUTE, files={"file": b"RIFF"})
        assert early.status_code == 503 and early.json()["error"]["code"] == "loading"
        assert int(early.headers["retry-after"]) >= 1
        process.let("loaded")
        until_ready(process)
        answers: list[httpx.Response] = []

        def call() -> None:
            answers.append(httpx.post(process.url + ROUTE, files={"file": b"R"}, timeout=30))

        callers = [threading.Thread(target=call) for _ in range(5)]
        for caller in callers:
            caller.start()
        metrics = ""
        while "asr_upload_buffer_bytes 5.0" not in metrics:
            metrics = client.get(process.url + "/metrics").text
        process.process.send_signal(signal.SIGTERM)
        while client.get(process.url + "/ready").status_code == 200:
            pass
        late = client.post(process.url + ROUTE, files={"file": b"RIFF"})
        assert late.status_code == 503 and late.json()["error"]["code"] == "draining"
        process.let("worked")
        for caller in callers:
            caller.join()
    assert [answer.json()["text"] for answer in answers] == [TEXT] * 5
    assert process.wait() == 0
    entries = [json.loads(line) for line in process.lines]
    assert sum(entry.get("status") == 200 and entry["route"] == ROUTE for entry in entries) == 5
    assert not any(TEXT.split()[0] in line for line in process.lines)


def test_s16_a_second_signal_ends_it_at_once(process: ScriptedProcess) -> None:
    process.let("loaded")
    until_ready(process)
    caller = threading.Thread(target=lambda: hang_on(process.url))
    caller.start()
    with httpx.Client() as client:
        while "asr_upload_buffer_bytes 1.0" not in client.get(process.url + "/metrics").text:
            pass
        process.process.send_signal(signal.SIGTERM)
        while client.get(process.url + "/ready").status_code == 200:
            pass
    process.process.send_signal(signal.SIGTERM)
    process.let("worked")
    process.wait()
    caller.join()


def hang_on(url: str) -> None:
    with contextlib.suppress(httpx.HTTPError):
        httpx.post(url + ROUTE, files={"file": b"R"}, timeout=30)


def test_s14_what_cannot_be_loaded_ends_the_process_with_a_sentence(tmp_path: Path) -> None:
    process = ScriptedProcess(tmp_path, SCRIPT_FAILS="1")
    process.let("loaded")
    assert process.wait() == 1
    assert any("cannot start" in line for line in process.lines)


@pytest.mark.parametrize("setting", [{"HOST": "0.0.0.0"}, {"PORT": "x"}, {"LOG_FORMAT": "xml"}])
def test_s14_settings_that_nothing_can_start_with_have_an_exit_code(setting: dict) -> None:
    command = [sys.executable, "-m", "speech_endpoint.server"]
    done = subprocess.run(
        command, env=os.environ | setting, capture_output=True, text=True, cwd=REPOSITORY
    )
    (name,) = setting
    assert done.returncode == 78 and done.stderr.startswith(f"error: {name}:")


@pytest.mark.parametrize(
    ("stage", "age_s", "health", "ready", "ping"),
    [
        ("loading", 500.0, 200, 503, 204),
        ("warming_up", 500.0, 200, 503, 204),
        ("ready", 1.0, 200, 200, 200),
        ("ready", 121.0, 503, 200, 200),
        ("draining", 1.0, 200, 503, 204),
        ("failed", 1.0, 503, 503, 503),
    ],
)
def test_s17_probes_tell_a_stuck_engine_from_one_that_loads(
    stage: str, age_s: float, health: int, ready: int, ping: int
) -> None:
    service = ScriptedService()
    service.current = dataclasses.replace(service.current, stage=stage, heartbeat_age_s=age_s)
    with Served(create_app(service, ServerSettings(asr_model="a/b"))) as server:
        statuses = [
            httpx.get(server.url + f"/{name}").status_code for name in ("health", "ready", "ping")
        ]
    assert statuses == [health, ready, ping]
