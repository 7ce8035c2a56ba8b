"""`speech voice`, as it is called."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from paths import KENNEDY, MODELS
from stand_in import Answer, stand_in

from speech_endpoint.cli.main import main
from speech_endpoint.voices.references import is_voiceprint


def voice(*arguments: object):
    return CliRunner().invoke(main, ["voice", *map(str, arguments)])


def test_k7_a_clip_becomes_a_line_that_known_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASR_MODEL", str(MODELS / "whisper-tiny.en"))
    monkeypatch.setenv("DIARIZATION_MODEL", str(MODELS / "speaker-diarization"))
    result = voice(KENNEDY, "--end", 8)
    assert result.exit_code == 0, result.output
    assert is_voiceprint(result.stdout) and result.stdout.count("\n") == 1
    monkeypatch.setenv("DISABLE_SPEAKER_ID", "1")
    refused = voice(KENNEDY)
    assert refused.exit_code == 1 and "DISABLE_SPEAKER_ID" in refused.stderr


def test_an_endpoint_makes_it_where_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    with stand_in(Answer(200, {"voiceprint": "vp1.0123abcd.QUJD"})) as server:
        result = voice(tmp_path / "a.wav", "--endpoint", server.url, "--start", 2, "--end", 5)
    path, _, body = server.requests[0]
    assert result.exit_code == 0 and result.stdout == "vp1.0123abcd.QUJD\n"
    assert path == "/v1/audio/voiceprints" and b"2.0" in body and b"5.0" in body


def test_a_server_that_refuses_the_clip_is_quoted(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    error = {"error": {"message": "file: holds two voices; give a clip of one"}}
    with stand_in(Answer(400, error)) as server:
        result = voice(tmp_path / "a.wav", "--endpoint", server.url)
    assert result.exit_code == 1 and "holds two voices" in result.stderr
