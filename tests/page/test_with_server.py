"""The page and the server that it comes from: real models, real audio, one origin."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from page.browser import export, opened, transcribe, turns
from paths import MODELS, PHONE_CALL, REPOSITORY
from playwright.sync_api import Browser, expect

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("speech_endpoint.server.__main__") is None, reason="needs the server"
)
FORMATS = {"srt": "SubRip", "tsv": "Segments, TSV"}
"""Names of the server, and of the page; test_exports.py has all of them."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "ASR_MODEL": str(MODELS / "whisper-base"),
        "DIARIZATION_MODEL": str(MODELS / "speaker-diarization"),
        "PORT": str(port),
        "DRAIN_DELAY_S": "0",
    }
    command = [sys.executable, "-m", "speech_endpoint.server"]
    server = subprocess.Popen(command, cwd=REPOSITORY, env=environment)
    url = f"http://127.0.0.1:{port}/"
    while not _is_ready(url):
        assert server.poll() is None, "the server has ended"
        threading.Event().wait(0.2)
    yield url
    server.send_signal(signal.SIGTERM)
    server.wait(60)


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}ready") as answer:
            return answer.status == 200
    except OSError:
        return False


def _answer(url: str, response_format: str) -> str:
    fields = {"response_format": response_format, "diarize": "true"}
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    body = b"".join(parts) + head + PHONE_CALL.read_bytes() + b"\r\n--b--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    request = urllib.request.Request(f"{url}v1/audio/transcriptions", body, headers)
    with urllib.request.urlopen(request) as answer:
        return answer.read().decode()


def test_what_the_page_saves_is_what_the_server_answers(browser: Browser, url: str) -> None:
    with opened(browser, url) as page:
        page.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        transcribe(page)
        expect.set_options(timeout=5_000)
        assert [name for name, _, _ in turns(page)][:3] == ["Speaker A", "Speaker B", "Speaker A"]
        saved = {name: export(page, label) for name, label in FORMATS.items()}
    assert saved == {name: _answer(url, name) for name in FORMATS}


def test_the_server_knows_who_hung_up(browser: Browser, url: str) -> None:
    with opened(browser, url) as page:
        page.set_input_files("#file", PHONE_CALL)
        with page.expect_request("**/v1/audio/transcriptions"):
            page.click("#go")
        expect(page.locator("#work-stage")).not_to_have_text("Sending the file")
        page.click("#cancel")
        expect(page.locator("#start")).to_be_visible()
    while "asr_cancelled_total{" not in _metrics(url):
        threading.Event().wait(0.1)


def _metrics(url: str) -> str:
    with urllib.request.urlopen(f"{url}metrics") as answer:
        return answer.read().decode()
