"""`--known NAME=FILE`: what is sent for it."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from stand_in import ANSWER, Answer, stand_in

from speech_endpoint.cli.main import main
from speech_endpoint.cli.outputs import LEDGER

pytestmark = pytest.mark.pure

VOICEPRINT = "vp1.0123abcd.QUJDREVGRw"
VERBOSE = {"text": "Hello.", "segments": [], "words": [], "duration": 1.0, "language": "english"}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "meeting.mp3").write_bytes(b"meeting")
    (tmp_path / "anna.wav").write_bytes(b"RIFF")
    (tmp_path / "ben.txt").write_text(VOICEPRINT + "\n")
    return tmp_path


def transcribe(files: Path, *arguments: str):
    recording = str(files / "meeting.mp3")
    return CliRunner().invoke(main, ["transcribe", recording, *arguments])


def known(files: Path) -> list[str]:
    return ["--known", f"Anna={files / 'anna.wav'}", "--known", f"Ben B.={files / 'ben.txt'}"]


def test_k7_clips_and_voiceprints_are_sent_with_their_names(files: Path) -> None:
    with stand_in(Answer(200, ANSWER)) as server:
        result = transcribe(files, "--endpoint", server.url, *known(files))
    assert result.exit_code == 0, result.output
    clip = base64.b64encode(b"RIFF").decode()
    sent = json.loads(server.requests[0][2])["parameters"]["known_speakers"]
    assert sent[0]["name"] == "Anna" and sent[0]["reference"].endswith(f";base64,{clip}")
    assert sent[1] == {"name": "Ben B.", "reference": VOICEPRINT}


def test_k7_servers_of_openais_api_get_its_two_lists(files: Path) -> None:
    with stand_in(Answer(200, VERBOSE)) as server:
        result = transcribe(files, "--endpoint", server.url, "--openai", *known(files))
    assert result.exit_code == 0, result.output
    body = server.requests[0][2].decode(errors="replace")
    for field in ("known_speaker_names[]", "known_speaker_references[]"):
        assert body.count(f'name="{field}"') == 2
    assert VOICEPRINT in body and "data:audio" in body


def test_k8_the_ledger_of_outputs_holds_no_voice(files: Path) -> None:
    with stand_in(Answer(200, ANSWER)) as server:
        out = files / "out"
        assert not transcribe(
            files, "-o", str(out), "--endpoint", server.url, *known(files)
        ).exit_code
    assert VOICEPRINT not in (out / LEDGER).read_text()
    assert "Anna" not in (out / LEDGER).read_text()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("Anna", "expected NAME=FILE"),
        ("=anna.wav", "expected NAME=FILE"),
        ("Anna=nobody.wav", "nobody.wav: No such file"),
        ("A" * 65 + "={clip}", "1 to 64 characters"),
    ],
)
def test_what_cannot_be_read_is_said_before_anything_is_sent(
    files: Path, given: str, says: str
) -> None:
    result = transcribe(files, "--known", given.format(clip=files / "anna.wav"))
    assert result.exit_code == 2 and says in result.output
