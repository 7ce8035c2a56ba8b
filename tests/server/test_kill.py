"""A server that is killed in the middle of its work, and the one that takes its place."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from paths import KENNEDY
from process import ROUTE, Process, until_ready

N_CALLERS = 6


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[Process]]:
    servers: list[Process] = []
    yield servers
    for server in servers:
        server.process.kill()
        server.wait()


def start(servers: list[Process], temporary: Path, port: int | None = None) -> Process:
    settings = {"ASR_MODEL": "models/whisper-tiny.en", "TMPDIR": str(temporary)}
    server = Process("-m", "speech_endpoint.server", port=port, **settings)
    servers.append(server)
    assert server.listening.wait(60), server.lines
    until_ready(server)
    return server


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def call(url: str) -> httpx.Response | httpx.HTTPError:
    try:
        return httpx.post(url + ROUTE, files={"file": KENNEDY.read_bytes()}, timeout=60)
    except httpx.HTTPError as error:
        return error


def test_after_a_kill_nothing_is_left_and_the_next_server_serves(
    servers: list[Process], tmp_path: Path
) -> None:
    shared_before = {*os.listdir("/dev/shm")}
    server = start(servers, tmp_path)
    answers: list[httpx.Response | httpx.HTTPError] = []
    callers = [
        threading.Thread(target=lambda: answers.append(call(server.url))) for _ in range(N_CALLERS)
    ]
    for caller in callers:
        caller.start()
    metrics = "asr_batch_rows 0.0"
    while "asr_batch_rows 0.0" in metrics:
        metrics = httpx.get(server.url + "/metrics", timeout=30).text
    workers = [os.pidfd_open(worker) for worker in children(server.process.pid)]
    server.process.kill()
    for caller in callers:
        caller.join()
    # Cut off, all who were being served.
    assert any(isinstance(answer, httpx.HTTPError) for answer in answers)
    assert workers
    for worker in workers:
        ended, _, _ = select.select([worker], [], [], 30)
        os.close(worker)
        assert ended
    assert os.listdir(tmp_path) == []
    assert {*os.listdir("/dev/shm")} <= shared_before
    answer = call(start(servers, tmp_path, server.port).url)
    assert isinstance(answer, httpx.Response) and "country" in answer.json()["text"]
