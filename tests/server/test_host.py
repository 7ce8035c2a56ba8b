"""The host's routes answer as the handler does behind the host's own server."""

from __future__ import annotations

import base64
import json

import pytest
import requests
from host import make_app
from huggingface_hub import InferenceClient
from paths import KENNEDY
from scripted import EVENTS
from served import ScriptedService, Served, failing

from speech_endpoint.errors import InvalidRequest, OutOfMemory
from speech_endpoint.output.response import to_json
from speech_endpoint.reception import Request
from speech_endpoint.server.app import create_app
from speech_endpoint.server.settings import ServerSettings
from speech_endpoint.service.events import Done, Failed, Overloaded, Progress
from speech_endpoint.transcript import Segment, Transcript, Word

WAV = {"content-type": "audio/wav"}
AWKWARD = Transcript(
    (Segment((Word(" Zoë 👩‍👩‍👧", 0.1, 1e-5 + 2, 1 / 3), Word("字", 2.5, 3.0))),),
    language="en",
    duration_s=1e9 / 3,
    warnings=("\u2028",),
    timings_s={"total": 0.1},
    stats={"tokens": 3},
)
REQUESTS = [
    {"data": b"RIFF", "headers": WAV},
    {"data": b"RIFF", "headers": WAV, "params": {"batch_size": "-2"}},
    {"data": b"RIFF", "headers": WAV, "params": {"diarize": "TRUE", "return_timestamps": "word"}},
    {"data": b"RIFF", "headers": WAV, "params": {"nonsense": "1", "language": ""}},
    {"data": b"RIFF", "headers": {"content-type": "audio/WAV"}},
    {"data": b"RIFF", "headers": {"content-type": "text/plain"}},
    {"data": b"RIFF"},
    {"json": {"inputs": base64.b64encode(b"RIFF").decode(), "parameters": {"task": "sing"}}},
    {"json": {"inputs": base64.b64encode(b"RIFF").decode(), "extra": 1}},
    {"json": {"inputs": "", "parameters": {"batch_size": 0}}},
    {"json": {"inputs": 1}},
    {"json": {"inputs": True}},
    {"json": {"inputs": base64.b64encode(b"R").decode(), "parameters": []}},
]


def handler(data: dict) -> dict:
    """As the endpoint's, but that its models say what the test has them say."""
    request = Request.from_host(data)
    return to_json(AWKWARD, request.config)


@pytest.mark.pure
def test_every_request_has_the_same_bytes_for_an_answer_as_from_the_host() -> None:
    settings = ServerSettings(asr_model="a/b")
    ours = create_app(ScriptedService(Done(AWKWARD)), settings)
    with Served(ours) as server, Served(make_app(handler)) as host:
        for route in ("/", "/predict"):
            for request in REQUESTS:
                answer = requests.post(server.url + route, timeout=30, **request)
                expected = requests.post(host.url + route, timeout=30, **request)
                assert answer.content == expected.content
                assert answer.status_code == expected.status_code
                assert answer.headers["content-type"] == expected.headers["content-type"]


@pytest.mark.pure
def test_a_caller_that_prefers_events_gets_the_same_answer_after_them() -> None:
    prefers = {"data": b"RIFF", "headers": WAV | {"prefer": "event-stream"}}
    with Served(create_app(ScriptedService(*EVENTS), ServerSettings(asr_model="a/b"))) as server:
        plain = requests.post(server.url, data=b"RIFF", headers=WAV, timeout=30)
        answer = requests.post(server.url, timeout=30, **prefers)
    assert answer.headers["preference-applied"] == "event-stream"
    *before, last, end = answer.text.split("\n\n")
    assert end == "" and last.removeprefix("event: answer\ndata: ") == json.dumps(plain.json())
    assert [part for part in before if part.startswith("event")] == [
        f'event: segment\ndata: {{"text": " {text}"}}' for text in ("Xylophone one", "two three.")
    ]
    assert sum(part.startswith(": progress") for part in before) == 2


@pytest.mark.pure
@pytest.mark.parametrize(
    ("error", "status", "should_retry"),
    [
        (InvalidRequest("inputs", "unreadable", "no audio"), 400, True),
        (RuntimeError("secret"), 500, True),
        (OutOfMemory("too long"), 500, False),
    ],
)
def test_what_goes_wrong_amid_events_has_the_status_that_it_would_have_had(
    error: Exception, status: int, should_retry: bool
) -> None:
    service = ScriptedService(Progress(0.0, None, 0.0), Failed(error))
    with Served(create_app(service, ServerSettings(asr_model="a/b"))) as server:
        headers = WAV | {"prefer": "event-stream"}
        answer = requests.post(server.url, data=b"RIFF", headers=headers, timeout=30)
    kind, data = answer.text.split("\n\n")[-2].split("\ndata: ")
    found = json.loads(data)
    assert kind == "event: error" and found["status"] == status
    assert found["should_retry"] is should_retry
    assert "secret" not in answer.text


@pytest.mark.pure
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidRequest("inputs", "unreadable", "no audio"), 400),
        (Overloaded("busy", 1.0), 429),
        (RuntimeError("secret"), 500),
    ],
)
def test_errors_are_one_sentence_under_one_key(error: Exception, status: int) -> None:
    with Served(create_app(failing(error), ServerSettings(asr_model="a/b"))) as server:
        answer = requests.post(server.url, data=b"RIFF", headers=WAV, timeout=30)
    assert answer.status_code == status and list(answer.json()) == ["error"]
    assert isinstance(answer.json()["error"], str) and "secret" not in answer.text


@pytest.mark.pure
def test_a_body_that_is_no_json_is_refused(url_of_script: str) -> None:
    for body in (b"{", b"[]", b"1", b'{"parameters": {}}', b"\xff"):
        answer = requests.post(
            url_of_script, data=body, headers={"content-type": "application/json"}, timeout=30
        )
        assert answer.status_code == 400 and list(answer.json()) == ["error"]


@pytest.fixture
def url_of_script():
    app = create_app(ScriptedService(Done(AWKWARD)), ServerSettings(asr_model="a/b"))
    with Served(app) as server:
        yield server.url


def test_real_audio_is_served_raw_and_in_json(url: str) -> None:
    audio = KENNEDY.read_bytes()
    raw = requests.post(url, data=audio, headers={"content-type": "audio/ogg"}, timeout=120).json()
    body = {"inputs": base64.b64encode(audio).decode(), "parameters": {"return_timestamps": "word"}}
    words = requests.post(f"{url}/invocations", json=body, timeout=120).json()
    assert words["text"] == raw["text"] and "country" in raw["text"]
    assert "".join(word["text"] for word in words["words"]) == raw["text"]
    assert [name for name in words if name not in raw] == ["words"]


def test_the_official_client_is_served(url: str) -> None:
    client = InferenceClient(model=url)
    answer = client.automatic_speech_recognition(str(KENNEDY), extra_body={"language": "en"})
    assert "country" in answer.text and answer.chunks
