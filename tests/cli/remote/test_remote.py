"""Transcribing at an endpoint, over real HTTP."""

from __future__ import annotations

import base64
import json
import socket

import pytest
from stand_in import ANSWER, BUSY, Answer, stand_in

from speech_endpoint.cli.recognisers import Advance
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
        (
            Answer(504, {"error": "took 600 s"}, {"x-should-retry": "false"}),
            EndpointError,
            "took 600 s",
        ),
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


def _events(*parts: str) -> Answer:
    return Answer(200, "".join(parts).encode(), {"Content-Type": "text/event-stream"})


PROGRESS = ': progress {"done_s": 1.0, "duration_s": 2.0, "queue_s": 0.0}\n\n'
SEGMENT = 'event: segment\ndata: {"text": " Hello."}\n\n'
ANSWERED = f"event: answer\ndata: {json.dumps(ANSWER)}\n\n"


def test_an_endpoint_that_streams_says_how_far_it_is() -> None:
    heard: list[Advance] = []
    with stand_in(_events(PROGRESS, SEGMENT, ANSWERED)) as server:
        transcript = HostEndpoint(server.url, None, 1).transcribe(b"x", {}, heard.append)
    assert server.requests[0][1]["Prefer"] == "event-stream"
    assert heard == [Advance(1.0, 2.0), Advance(1.0, 2.0, " Hello.")]
    assert transcript.text == " Hello."


def test_a_stream_that_ends_too_soon_or_says_that_it_will_is_asked_for_again(monkeypatch) -> None:
    monkeypatch.setattr("speech_endpoint.cli.remote.http.FIRST_BACKOFF_S", 0.0)
    draining = 'event: error\ndata: {"error": "about to end", "status": 503}\n\n'
    answers = (_events(PROGRESS), _events(SEGMENT, draining), _events(ANSWERED))
    with stand_in(*answers) as server:
        assert HostEndpoint(server.url, None, 1).transcribe(b"x", {}).text == " Hello."
    assert len(server.requests) == 3


def test_what_another_try_does_not_help_is_not_tried_again_though_it_was_streamed() -> None:
    late = {"error": "took 600 s", "status": 504, "should_retry": False}
    with (
        stand_in(_events(PROGRESS, f"event: error\ndata: {json.dumps(late)}\n\n")) as server,
        pytest.raises(EndpointError, match="took 600 s"),
    ):
        HostEndpoint(server.url, None, 1).transcribe(b"x", {})
    assert len(server.requests) == 1


@pytest.mark.parametrize("address", ["localhost:8000", "my.host/v1", "http://"])
def test_an_address_that_is_none_is_refused_at_once(address: str) -> None:
    with pytest.raises(EndpointUnreachable, match="cannot be reached"):
        HostEndpoint(address, None, 1).transcribe(b"x", {})


@pytest.mark.parametrize(
    ("event", "kind", "message"),
    [
        (
            'event: error\ndata: {"error": "inputs: no", "status": 400}',
            InvalidRequest,
            "inputs: no",
        ),
        ('data: {"choices": []}', EndpointUnreachable, "before its end"),
        ("event: segment\ndata: half {", EndpointError, "another kind"),
    ],
)
def test_a_stream_that_is_none_of_ours_is_one_files_failure(
    event: str, kind, message: str, monkeypatch
) -> None:
    monkeypatch.setattr("speech_endpoint.cli.remote.http.FIRST_BACKOFF_S", 0.0)
    with stand_in(_events(event + "\n\n")) as server, pytest.raises(kind, match=message):
        HostEndpoint(server.url, None, 1).transcribe(b"x", {})


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


def test_speakers_that_a_server_of_openais_api_adds_are_kept() -> None:
    """This project's server names them beside each segment and word."""
    segments = [
        {**part, "speaker": name} for part, name in zip(VERBOSE["segments"], "AB", strict=True)
    ]
    with stand_in(Answer(200, {**VERBOSE, "segments": segments})) as server:
        transcript = OpenAIEndpoint(server.url, None, 1).transcribe(b"x", {})
    assert [(turn.speaker, turn.text) for turn in transcript.turns] == [
        ("A", " Hello, you."),
        ("B", " Bye."),
    ]
    assert [word.speaker for word in transcript.words] == ["A", "A", "B"]
    assert transcript.language == "en"


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
