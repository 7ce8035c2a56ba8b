"""Refusals arrive, however much the caller still wants to send."""

from __future__ import annotations

import http.client
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import requests
import wire
from scripted import EVENTS
from served import ScriptedService, Served

from speech_endpoint.server.app import create_app
from speech_endpoint.server.settings import ServerSettings
from speech_endpoint.service.events import Overloaded

pytestmark = pytest.mark.pure

MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    settings = ServerSettings(asr_model="a/b", max_payload_mb=1, upload_memory_mb=70)
    with Served(create_app(ScriptedService(*EVENTS), settings)) as server:
        yield server


def check(status: int, text: str) -> None:
    assert status == 413 and '"payload_too_large"' in text and str(MEBIBYTE) in text


sizes = pytest.mark.parametrize("n_bytes", [MEBIBYTE + 1, 10 * MEBIBYTE, 90 * MEBIBYTE])


@sizes
def test_a17_requests_sees_that_a_file_is_too_large(server: Served, n_bytes: int) -> None:
    answer = requests.post(server.url + wire.ROUTE, files={"file": b"x" * n_bytes}, timeout=60)
    check(answer.status_code, answer.text)


@sizes
def test_a17_httpx_sees_it_with_chunks_of_no_stated_length(server: Served, n_bytes: int) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
        for _ in range(n_bytes // 1024):
            yield b"x" * 1024
        yield b"x\r\n--x--\r\n"

    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = httpx.post(server.url + wire.ROUTE, content=chunks(), headers=headers, timeout=60)
    check(answer.status_code, answer.text)


@sizes
@pytest.mark.skipif(not shutil.which("curl"), reason="no curl")
def test_a17_curl_sees_it(server: Served, n_bytes: int, tmp_path: Path) -> None:
    file = tmp_path / "big"
    with file.open("wb") as out:
        out.truncate(n_bytes)
    command = ["curl", "-sS", "-w", "%{http_code} %{size_upload}", "-F", f"file=@{file}"]
    done = subprocess.run([*command, server.url + wire.ROUTE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    text, _, figures = done.stdout.rpartition("}")
    status, uploaded = figures.split()
    check(int(status), text)
    # It waits for "100 Continue" where a stated length alone decides.
    assert n_bytes < 80 * MEBIBYTE or int(uploaded) == 0


def test_s20_who_is_refused_is_not_asked_to_continue() -> None:
    service = ScriptedService(*EVENTS)
    service.refusal = Overloaded("busy", 10.0)
    settings = ServerSettings(asr_model="a/b")
    with Served(create_app(service, settings)) as server:
        with wire.connect(server.port) as connection:
            connection.sendall(wire.head(server.port, 10**6, "Expect: 100-continue"))
            answer = wire.read_all(connection)
        assert answer.startswith(b"HTTP/1.1 429") and b"100 Continue" not in answer
        assert b"connection: close" in answer
        service.refusal = None
        with wire.connect(server.port) as connection:
            connection.sendall(wire.head(server.port, 100, "Expect: 100-continue"))
            assert wire.read_until(connection, b"\r\n\r\n").startswith(b"HTTP/1.1 100")


def test_s9_a_caller_who_never_stops_sending_gets_his_answer_first() -> None:
    settings = ServerSettings(asr_model="a/b", api_keys="key")
    with Served(create_app(ScriptedService(), settings)) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.putrequest("POST", wire.ROUTE)
        connection.putheader("Content-Length", str(10**9))
        connection.endheaders()
        connection.send(b"x" * 100_000)
        answer = connection.getresponse()
        assert answer.status == 401 and b"invalid_api_key" in answer.read()
        connection.close()


def test_a_connection_serves_again_after_a_refusal_that_was_read_whole(server: Served) -> None:
    with httpx.Client() as client:
        for _ in range(3):
            assert (
                client.post(server.url + wire.ROUTE, files={"model": (None, "x")}).status_code
                == 400
            )
            assert client.get(server.url + "/health").status_code == 200


def test_s18_nothing_of_an_upload_is_written_to_disk(server: Served, monkeypatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise AssertionError("a temporary file")

    for name in ("TemporaryFile", "NamedTemporaryFile", "SpooledTemporaryFile", "mkstemp"):
        monkeypatch.setattr(tempfile, name, refuse)
    answer = requests.post(server.url + wire.ROUTE, files={"file": b"x" * MEBIBYTE}, timeout=60)
    assert answer.status_code == 200
