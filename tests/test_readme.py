"""README.md's commands and programs, run as they are written, and what it says of an answer."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from host import make_app
from hub_stand_in import hub_stand_in
from hub_state import TOKEN
from paths import AUSTEN, MODELS, PHONE_CALL, REPOSITORY
from readme import block, blocks
from threaded_server import ThreadedServer

from speech_endpoint.cli.main import main
from tools.demo import listing

README = REPOSITORY / "README.md"
WORDS = "a more amiable woman"
"""In the recording that stands in for call.flac, and for talks."""
TALKS = ("first", "second", "monday/third")


@pytest.fixture(scope="module")
def url(handler) -> Iterator[str]:
    with ThreadedServer(make_app(handler), log_level="warning") as server:
        yield server.url


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that README.md speaks of, and `speech` on the path."""
    shutil.copy(AUSTEN, tmp_path / "call.flac")
    (tmp_path / "talks" / "monday").mkdir(parents=True)
    for name in TALKS:
        shutil.copy(AUSTEN, tmp_path / "talks" / f"{name}.flac")
    speech = tmp_path / "bin" / "speech"
    speech.parent.mkdir()
    speech.write_text(
        f'#!/bin/sh\nPYTHONPATH={REPOSITORY} exec {sys.executable} -m speech_endpoint.cli "$@"\n'
    )
    speech.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _shell(folder: Path, command: str, **env: str) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env=os.environ | {"PATH": f"{folder}/bin:{os.environ['PATH']}", "HF_TOKEN": "hf_x"} | env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.pure
def test_it_is_short_and_every_link_leads_somewhere() -> None:
    text = README.read_text()
    assert len(text.splitlines()) < 300
    pages = [README, *(REPOSITORY / "docs").glob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
            if "://" in target:
                continue
            name, _, anchor = target.partition("#")
            file = (page.parent / name).resolve() if name else page
            assert file.exists(), f"{page.name}: {target}"
            headings = re.findall(r"^#+ (.+)$", file.read_text(), re.M) if anchor else []
            anchors = {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}
            assert not anchor or anchor in anchors, f"{page.name}: {target}"


@pytest.mark.pure
def test_every_command_of_make_is_one() -> None:
    named = [
        command for each in blocks(README) if each.language == "sh" for command in each.commands()
    ]
    made = {match[1] for command in named if (match := re.search(r"\bmake (\w+)", command))}
    assert {"demo", "test", "models", "serve"} <= made
    targets = set(re.findall(r"^([\w-]+):", (REPOSITORY / "Makefile").read_text(), re.M))
    assert made <= targets


def test_the_turns_that_it_shows_are_those_of_the_telephone_call(handler) -> None:
    shown = block(README, "Who said what, when: a speech endpoint", "").text
    answer = handler({"inputs": PHONE_CALL.read_bytes(), "parameters": {}})
    turns = re.findall(r"^ +([\d.]+) – +([\d.]+)  (\w+)  (.+(?:\n {30,}.+)*)", shown, re.M)
    assert len(turns) == 3
    for start, end, speaker, text in turns:
        # Another processor's arithmetic may change a letter or a point, or move a word.
        turn = max(answer["speakers"], key=lambda each: _likeness(each["text"], text))
        assert _likeness(turn["text"], text) > 0.9, listing(answer["speakers"])
        assert turn["speaker"] == speaker
        assert turn["timestamp"] == pytest.approx([float(start), float(end)], abs=0.8)
    _check_keys(block(README, "Ask it", "", '"timings"').text, answer)


def _likeness(text: str, other: str) -> float:
    words, others = (re.findall(r"\w+", each.lower()) for each in (text, other))
    return SequenceMatcher(None, words, others).ratio()


def _check_keys(shown: str, answer: dict[str, Any]) -> None:
    """Every key that is shown is one of the answer's, and it begins with the same words."""
    named = set(re.findall(r'"(\w+)":', shown))
    assert {"text", "chunks", "speakers", "language", "timings"} <= named <= _keys(answer)
    assert answer["text"].startswith(re.search(r'{"text": "(.+?) …', shown)[1])


def _keys(answer: Any) -> set[str]:
    if isinstance(answer, dict):
        return set(answer).union(*map(_keys, answer.values()))
    return set().union(*map(_keys, answer)) if isinstance(answer, list) else set()


def test_the_plain_post_body_is_answered(url: str, reader: Path) -> None:
    command = block(README, "Ask it", "sh", "base64").text
    answer = json.loads(_shell(reader, command, URL=url))
    assert WORDS in answer["text"]
    assert WORDS in answer["speakers"][0]["text"] and answer["chunks"]


def test_a_raw_recording_is_answered(url: str, reader: Path) -> None:
    command = block(README, "Ask it", "sh", "num_speakers=2").text
    answer = json.loads(_shell(reader, command, URL=url))
    assert WORDS in answer["text"]
    # It arrived: one voice is in this recording.
    assert any("num_speakers: 2" in warning for warning in answer["warnings"])


@pytest.mark.parametrize("library", ["requests", "InferenceClient"])
def test_programs_that_ask_print_who_said_what(
    url: str, reader: Path, capsys: pytest.CaptureFixture[str], library: str
) -> None:
    exec(block(README, "Ask it", "python", library).text, {"URL": url, "TOKEN": "hf_x"})
    printed = capsys.readouterr().out
    assert WORDS in printed and "SPEAKER_00" in printed


def test_a_program_of_ones_own_prints_segments(
    environment: None,
    reader: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ASR_MODEL", str(MODELS / "whisper-tiny.en"))
    monkeypatch.delenv("DIARIZATION_MODEL")
    monkeypatch.delenv("ASSISTANT_MODEL")
    exec(block(README, "In a program of your own", "python").text, {})
    assert WORDS in capsys.readouterr().out


def test_the_command_line_transcribes_here_and_at_an_endpoint(url: str, reader: Path) -> None:
    installs, here, folder, there = block(README, "From the command line", "sh").commands()
    assert installs == "pip install ."
    local = {"ASR_MODEL": str(MODELS / "whisper-tiny.en")}
    local |= {"DIARIZATION_MODEL": "", "ASSISTANT_MODEL": ""}
    assert WORDS in _shell(reader, here, **local)
    # As written, at the endpoint that is here already: another start of models shows nothing more.
    _shell(reader, folder, SPEECH_ENDPOINT=url)
    written = {str(path.relative_to(reader)) for path in reader.glob("transcripts/**/[!.]*.*")}
    assert written == {f"transcripts/{talk}.{kind}" for talk in TALKS for kind in ("srt", "json")}
    _shell(reader, there, URL=url)
    assert WORDS in (reader / "talks" / "second.txt").read_text()


@pytest.mark.pure
def test_the_endpoint_that_it_creates_is_private_and_its_token_a_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with hub_stand_in(monkeypatch) as hub:
        hub.first_state = "running"
        exec(block(README, "As an Inference Endpoint", "python").text, {})
        assert capsys.readouterr().out == f"{hub.url}/run/speech\n"
        (body,) = hub.bodies("POST", "/v2/endpoint/ann")
    assert body["type"] == "private" and body["model"]["task"] == "custom"
    assert body["model"]["secrets"].keys() == {"HF_TOKEN"}
    assert "HF_TOKEN" not in body["model"]["env"]


def test_the_commands_that_deploy_do(monkeypatch: pytest.MonkeyPatch, diarization_bundle) -> None:
    monkeypatch.chdir(REPOSITORY)
    dry, real = block(README, "As an Inference Endpoint", "sh").commands()
    with hub_stand_in(monkeypatch) as hub:
        for command in (dry, real, real):
            result = CliRunner().invoke(main, command.split()[1:])
            assert result.exit_code == 0 and TOKEN not in result.output
        assert len(hub.bodies("POST", "/v2/endpoint/ann")) == 1
        assert not hub.bodies("PUT", "/v2/endpoint/ann")
        pushed = hub.repositories["ann/speech"].files
    assert "handler.py" in pushed and "models/speaker-diarization/config.json" in pushed
