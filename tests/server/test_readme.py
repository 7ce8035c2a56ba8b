"""What README.md says of the server, as it is written but for the port."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import httpx
from paths import AUSTEN, REPOSITORY
from readme import block

README = REPOSITORY / "README.md"


def _here(text: str, url: str) -> str:
    assert "localhost:8000" in text
    return text.replace("http://localhost:8000", url).replace("localhost:8000", url)


def test_curl_gets_subtitles_and_a_browser_the_page(url: str, tmp_path: Path) -> None:
    shutil.copy(AUSTEN, tmp_path / "call.flac")
    command = _here(block(README, "In the browser", "sh", "curl").text, url)
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.startswith("1\n00:00:0") and "amiable" in done.stdout, done.stderr
    page = httpx.get(url, headers={"accept": "text/html"})
    assert page.status_code == 200 and "<!doctype html" in page.text.lower()


def test_openais_client_needs_two_lines(url: str) -> None:
    known: dict = {}
    exec(_here(block(README, "Moving from OpenAI's audio API", "python").text, url), known)
    with AUSTEN.open("rb") as file:
        answer = known["client"].audio.transcriptions.create(file=file, model="whisper-1")
    assert "amiable" in answer.text
