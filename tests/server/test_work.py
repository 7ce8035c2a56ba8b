"""A job, its caller, and what becomes of the one when the other leaves."""

from __future__ import annotations

import socket
import struct
import threading

import httpx
import pytest
import requests
import wire
from forms import body, part
from prometheus_client.parser import text_string_to_metric_families
from scripted import EVENTS, FIRST
from served import ScriptedService, Served

from speech_endpoint.server.app import create_app
from speech_endpoint.server.settings import ServerSettings
from speech_endpoint.service.events import Progress, Segments

pytestmark = pytest.mark.pure

STREAM = part("stream", "true")
FILE = part("file", b"RIFF", "a.wav")


def served(service: ScriptedService, **settings) -> Served:
    settings = ServerSettings(asr_model="a/b", **settings)
    return Served(create_app(service, settings, keep_alive_s=0.05))


def figures(url: str) -> dict[str, float]:
    text = requests.get(url + "/metrics", timeout=30).text
    families = text_string_to_metric_families(text)
    return {
        f"{sample.name}{sorted(sample.labels.values())}": sample.value
        for family in families
        for sample in family.samples
    }


def figures_with(url: str, name: str) -> dict[str, float]:
    """Once that figure is there: a request is counted when its answer has ended."""
    for _ in range(500):
        if name in (counted := figures(url)):
            return counted
    raise AssertionError(counted)


def leave(connection: socket.socket, how: str) -> None:
    if how == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if how == "half":
        # A caller who will send nothing more counts as gone: it cannot be told from one who is.
        connection.shutdown(socket.SHUT_WR)
        return
    connection.close()


@pytest.mark.parametrize("how", ["reset", "close", "half"])
@pytest.mark.parametrize("parts", [[FILE], [STREAM, FILE]])
def test_s13_who_hangs_up_while_waiting_is_worked_for_no_longer(how: str, parts) -> None:
    begun = threading.Event()
    service = ScriptedService(Progress(0.0, None, 0.0), begun.set, stays=True)
    with served(service) as server:
        connection = wire.connect(server.port)
        connection.sendall(wire.request(server.port, *parts))
        assert begun.wait(30)
        leave(connection, how)
        (job,) = service.jobs
        assert job.cancelled.wait(30)
        connection.close()
        # The next caller is served, and what the first one held is given back.
        counted = figures_with(server.url, "asr_cancelled_total['queue']")
    assert counted["asr_upload_buffer_bytes[]"] == 0
    assert counted["asr_requests_total['/v1/audio/transcriptions', '499']"] == 1


@pytest.mark.parametrize("how", ["reset", "close"])
def test_s13_who_hangs_up_in_the_middle_of_a_stream_is_worked_for_no_longer(how: str) -> None:
    service = ScriptedService(Segments((FIRST,)), stays=True)
    with served(service) as server:
        connection = wire.connect(server.port)
        connection.sendall(wire.request(server.port, STREAM, FILE))
        wire.read_until(connection, b"transcript.text.delta")
        leave(connection, how)
        assert service.jobs[0].cancelled.wait(30)
        counted = figures_with(server.url, "asr_cancelled_total['decode']")
    assert counted["asr_upload_buffer_bytes[]"] == 0


def test_s13_who_hangs_up_while_uploading_submits_nothing() -> None:
    service = ScriptedService(*EVENTS)
    with served(service) as server:
        connection = wire.connect(server.port)
        connection.sendall(wire.head(server.port, 10**6) + body([FILE], end=False))
        connection.close()
        counted = figures_with(server.url, "asr_cancelled_total['upload']")
    assert counted["asr_upload_buffer_bytes[]"] == 0 and not service.requests


def test_s10_a_request_that_takes_too_long_is_given_up() -> None:
    service = ScriptedService(Progress(0.0, None, 0.0), stays=True)
    with served(service, request_timeout_s=0.1) as server:
        answer = httpx.post(server.url + wire.ROUTE, files={"file": b"RIFF"}, timeout=30)
    assert answer.status_code == 504 and answer.headers["x-should-retry"] == "false"
    assert answer.json()["error"]["code"] == "deadline_exceeded"
    assert service.jobs[0].cancelled.is_set()


def test_s19_a_slow_body_is_given_up_with_an_answer() -> None:
    with (
        served(ScriptedService(*EVENTS), upload_timeout_s=0.1) as server,
        wire.connect(server.port) as connection,
    ):
        connection.sendall(wire.head(server.port, 1000) + b"--")
        answer = wire.read_until(connection, b"upload_timeout")
    assert answer.startswith(b"HTTP/1.1 408")


def test_s8_two_hundred_callers_at_once_all_get_an_answer() -> None:
    service = ScriptedService(*EVENTS)
    answers: list[int] = []
    with served(service, upload_memory_mb=1) as server:

        def call() -> None:
            files = {"file": b"x" * 100_000}
            answer = requests.post(server.url + wire.ROUTE, files=files, timeout=60)
            answers.append(answer.status_code)

        callers = [threading.Thread(target=call) for _ in range(200)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        assert figures(server.url)["asr_upload_buffer_bytes[]"] == 0
    assert answers == [200] * 200
