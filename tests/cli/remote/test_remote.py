"""Transcribing at an endpoint, over real HTTP."""

from __future__ import annotations

import base64
import json
import socket

import pytest
from stand_in import ANSWER, BUSY, Answer, stand_in

from speech_endpoint.cli.remote.endpoint_errors import (
    EndpointError,
    EndpointOverloaded,
    EndpointUnreachable,
)
from speech_endpoint.cli.remote.http import Backoff
from speech_endpoint.cli.remote.remote import HostEndpoint, OpenAIEndpoint
from speech_endpoint.errors import InvalidRequest

pytestmark = pytest.mark.pure


def test_an_endpoint_gets_audio_and_parameters_and_its_answer_is_read() -> None:
    with stand_in(Answer(200, ANSWER)) as server:
        transcript = HostEndpoint(server.url, "secret", 1).transcribe(
            b"sound", {"task": "translate"}
        )
    ((_, headers, body),) = server.requests
    sent = json.loads(body)
    assert base64.b64decode(sent["inputs"]) == b"sound"
    assert sent["parameters"] == {"task": "translate", "return_timestamps": "word"}
    assert headers["Authorization"] == "Bearer secret"
    assert headers["X-Scale-Up-Timeout"] == "600"
    assert transcript.text == " Hello." and transcript.turns[0].speaker == "SPEAKER_00"


def test_an_endpoint_that_has_no_room_for_now_is_asked_again() -> None:
    with stand_in(BUSY, Answer(429, {"error": {"message": "full"}}, {"Retry-After": "0"}),
                  Answer(200, ANSWER)) as server:  # fmt: skip
        assert HostEndpoint(server.url, None, 1).transcribe(b"", {}).text == " Hello."
    assert len(server.requests) == 3


def test_an_endpoint_that_never_has_room_is_told_from_one_that_is_not_there() -> None:
    with stand_in(BUSY) as server, pytest.raises(EndpointOverloaded, match="starting"):
        HostEndpoint(server.url, None, 1).transcribe(b"", {})
    assert len(server.requests) == 6


def test_an_endpoint_that_is_not_there_says_so(monkeypatch) -> None:
    monkeypatch.setattr("speech_endpoint.cli.remote.http.FIRST_BACKOFF_S", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(EndpointUnreachable, match="cannot be reached"):
        HostEndpoint(f"http://127.0.0.1:{port}", None, 1).transcribe(b"", {})


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (Answer(400, {"error": "inputs: no audio"}), InvalidRequest, "inputs: no audio"),
        (Answer(413, {"error": {"message": "26 MB"}}), InvalidRequest, "26 MB"),
        (Answer(401, {"error": "no"}), EndpointUnreachable, "SPEECH_API_KEY or HF_TOKEN"),
        (Answer(404, {}), EndpointUnreachable, "no speech endpoint"),
        (Answer(200, {"hello": 1}), EndpointError, "not an answer"),
    ],
)
def test_a_refusal_is_not_tried_again(answer, kind, message) -> None:
    with stand_in(answer) as server, pytest.raises(kind, match=message):
        HostEndpoint(server.url, None, 1).transcribe(b"", {})
    assert len(server.requests) == 1


def test_the_wait_is_what_the_endpoint_asks_for_or_grows() -> None:
    assert 7.0 <= Backoff("7", 0).seconds <= 8.4
    assert Backoff("Wed, 21 Oct 2026 07:28:00 GMT", 0).seconds <= 1.2
    assert Backoff(None, 3).seconds >= 8.0
    assert Backoff("1e9", 0).seconds <= 72.0


VERBOSE = {
    "language": "english",
    "duration": 3.0,
    "segments": [
        {"start": 0.0, "end": 1.0, "text": " Hello, you."},
        {"start": 1.0, "end": 2.0, "text": " Bye."},
    ],
    "words": [
        {"word": "Hello", "start": 0.0, "end": 0.4},
        {"word": "you", "start": 0.5, "end": 0.9},
        {"word": "Bye", "start": 1.0, "end": 1.5},
    ],
}


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/audio/transcriptions"])
def test_a_server_of_openais_api_is_asked_at_its_route(path: str) -> None:
    with stand_in(Answer(200, VERBOSE)) as server:
        transcript = OpenAIEndpoint(server.url + path, None, 1).transcribe(b"x", {"language": "en"})
    ((route, _, body),) = server.requests
    assert route == "/v1/audio/transcriptions"
    assert b'name="language"' in body and b"verbose_json" in body
    assert transcript.text == " Hello, you. Bye."
    assert [(word.start, word.end) for word in transcript.words] == [
        (0.0, 0.4), (0.5, 0.9), (1.0, 1.5),
    ]  # fmt: skip
