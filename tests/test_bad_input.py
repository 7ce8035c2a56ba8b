"""What callers do wrong gets an error that says what to do, and the next request works."""

from __future__ import annotations

import base64

import pytest
from paths import KENNEDY

pytestmark = pytest.mark.core


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        (b"", "inputs: empty"),
        ("", "inputs: empty"),
        ("this is not base64!", "base64"),
        (
            base64.b64encode(
                b"It was a dark and stormy night; the rain fell in torrents. " * 40
            ).decode(),
            "text, not audio",
        ),
        (17, "expected base64 text or bytes"),
        (None, "inputs: missing"),
        (["a"], "expected base64 text or bytes"),
    ],
)
def test_inputs_that_are_no_audio(handler, inputs: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        handler({"inputs": inputs})


def test_a_missing_body(handler) -> None:
    with pytest.raises(ValueError, match="inputs: missing"):
        handler({})


@pytest.mark.parametrize("body", [None, [], [b"RIFF"], "RIFF", 7, {"parameters": {}}])
def test_a_body_without_inputs(handler, body: object) -> None:
    with pytest.raises(ValueError, match="inputs: missing"):
        handler(body)


def test_wrong_parameters_reach_the_caller_by_name(handler) -> None:
    parameters = {"batch_size": 0, "language": "klingon"}
    with pytest.raises(ValueError, match=r"parameters\.batch_size: .*; parameters\.language: "):
        handler({"inputs": b"RIFF", "parameters": parameters})


def test_strings_of_a_query_are_understood(handler) -> None:
    audio = KENNEDY.read_bytes()
    parameters = {
        "batch_size": "8",
        "chunk_length_s": "20",
        "diarize": "false",
        "return_timestamps": "true",
    }
    assert handler({"inputs": audio, "parameters": parameters})["text"]


def test_diarize_without_a_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    from paths import REPOSITORY

    from handler import EndpointHandler

    monkeypatch.setenv("ASR_MODEL", "models/whisper-tiny.en")
    monkeypatch.delenv("DIARIZATION_MODEL", raising=False)
    monkeypatch.delenv("ASSISTANT_MODEL", raising=False)
    plain = EndpointHandler(str(REPOSITORY))
    audio = KENNEDY.read_bytes()
    with pytest.raises(ValueError, match=r"parameters\.diarize: .*DIARIZATION_MODEL"):
        plain({"inputs": audio, "parameters": {"diarize": True}})
    with pytest.raises(ValueError, match=r"parameters\.assisted: .*ASSISTANT_MODEL"):
        plain({"inputs": audio, "parameters": {"assisted": True}})
    with pytest.raises(ValueError, match=r"parameters\.task: .*English only"):
        plain({"inputs": audio, "parameters": {"task": "translate"}})
    answer = plain({"inputs": audio})
    assert "country" in answer["text"] and answer["speakers"] == []


def test_the_next_request_works(handler) -> None:
    for bad in (b"", "%%%", None):
        with pytest.raises(ValueError, match="inputs"):
            handler({"inputs": bad})
    assert "country" in handler({"inputs": KENNEDY.read_bytes()})["text"]
