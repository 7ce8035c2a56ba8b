"""The log's line of a request: what it says, and what it never holds."""

from __future__ import annotations

import logging
import re

import pytest
from paths import KENNEDY

from speech_endpoint.errors import InvalidRequest
from speech_endpoint.request_log import RequestLog

pytestmark = pytest.mark.core

PAIR = re.compile(r"[a-z_]+=[\w.-]+")


def fields(line: str) -> dict[str, str]:
    name, *pairs = line.split(" ")
    assert name == "request" and all(map(PAIR.fullmatch, pairs))
    return dict(pair.split("=") for pair in pairs)


def test_an_answered_request_has_its_seconds(handler, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    words = {"prompt": "Washington", "colour": "red", "diarize": False}
    handler({"inputs": KENNEDY.read_bytes(), "parameters": words})
    (line,) = caplog.messages
    found = fields(line)
    assert found["outcome"] == "answered" and float(found["audio_s"]) == pytest.approx(11, abs=0.1)
    stages = {"decode_s", "asr_s", "diarization_s", "voice_activity_s", "encoder_s"}
    assert set(found) == {"id", "outcome", "audio_s", "wait_s", "total_s"} | stages
    assert 0 < float(found["decode_s"]) < float(found["asr_s"]) < float(found["total_s"])


def test_a_refused_request_has_its_field_and_code(
    handler, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    forged = "en\nrequest id=1 outcome=answered"
    with pytest.raises(InvalidRequest):
        handler({"inputs": b"RIFF", "parameters": {"language": forged, forged: 1}})
    (line,) = caplog.messages
    found = fields(line)
    assert found.pop("id") != "1" and found.pop("wait_s") and found.pop("total_s")
    assert found == {
        "outcome": "refused",
        "error": "InvalidRequest",
        "field": "parameters.language",
        "code": "invalid_value",
    }


def test_a_failed_request_has_its_class_and_a_traceback_that_forges_no_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    log = RequestLog()
    try:
        raise OSError("lost\nrequest id=1 outcome=answered\u2028\x1b[2J")
    except OSError as error:
        log.failed(error)
    line, details = caplog.messages
    assert fields(line)["outcome"] == "failed" and fields(line)["error"] == "OSError"
    first, *others = details.split("\n")
    assert first == f"request id={log.id} traceback" and len(others) > 3
    assert all(other.startswith("  | ") and other.isprintable() for other in others)
    assert "test_request_log.py" in details


def test_a_failure_of_ours_is_told_by_its_class_and_found_in_the_log_by_its_id(
    handler, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def run(self, request: object) -> None:
            raise KeyError("a secret of ours")

    with monkeypatch.context() as patch:
        patch.setattr(handler, "pipeline", Broken())
        with pytest.raises(RuntimeError, match=r"could not be served \(KeyError\)") as caught:
            handler({"inputs": b"RIFF"})
    assert "secret" not in str(caught.value)
    assert fields(caplog.messages[0])["id"] in str(caught.value)
