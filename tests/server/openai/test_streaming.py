"""Server-sent events, as clients read them."""

from __future__ import annotations

import json
import threading

import httpx
import pytest
import wire
from openai import APIError, OpenAI
from scripted import EVENTS, FIRST, TEXT, TRANSCRIPT
from served import ScriptedService, Served

from speech_endpoint.errors import InvalidRequest
from speech_endpoint.server.app import create_app
from speech_endpoint.server.settings import ServerSettings
from speech_endpoint.service.events import Done, Failed, Progress, Segments

pytestmark = pytest.mark.pure

DIARIZED = {"response_format": "diarized_json"}
VERBOSE = {
    "response_format": "verbose_json",
    "timestamp_granularities[]": ["word", "segment"],
}


def served(service: ScriptedService) -> Served:
    settings = ServerSettings(asr_model="a/b", diarization_model="c/d")
    return Served(create_app(service, settings, keep_alive_s=0.05))


def stream(service: ScriptedService, **fields) -> str:
    with served(service) as server:
        answer = httpx.post(
            server.url + wire.ROUTE,
            files={"file": b"RIFF"},
            data={"stream": "true", **fields},
            timeout=30,
        )
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-accel-buffering"] == "no"
    return answer.text


def events(text: str) -> list[dict]:
    """The data of each event, whose line says its type, too."""
    parsed = []
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if not line.startswith(":")]
        if lines and lines != ["data: [DONE]"]:
            kind, data = (line.partition(": ")[2] for line in lines)
            parsed.append(json.loads(data))
            assert kind == parsed[-1].get("type", "error")
    return parsed


def as_subtitle_edit_reads(text: str) -> str:
    """OpenAiSttService.cs of SubtitleEdit: an `event:` line says what the next `data:` line is;
    `segment_id`, where there is one, is read as an integer."""
    heard, kind = "", ""
    for line in text.splitlines():
        if line.startswith("event:"):
            kind = line[len("event:") :].strip()
        elif line.startswith("data:"):
            data = line[len("data:") :].strip()
            if data == "[DONE]":
                break
            fields = json.loads(data)
            if "segment_id" in fields:
                assert isinstance(fields["segment_id"], int)
            if kind == "transcript.text.delta":
                heard += fields["delta"]
            elif kind == "transcript.text.done":
                assert fields["text"] == heard
    return heard


@pytest.mark.parametrize("fields", [{}, {"response_format": "text"}, VERBOSE, DIARIZED])
def test_a18_deltas_join_to_the_text_of_done(fields: dict) -> None:
    text = stream(ScriptedService(*EVENTS), **fields)
    parsed = events(text)
    deltas = [each["delta"] for each in parsed if each["type"] == "transcript.text.delta"]
    assert len(deltas) == 2 and "".join(deltas) == parsed[-1]["text"] == TEXT
    assert parsed[-1]["type"] == "transcript.text.done" and "usage" not in parsed[-1]
    assert text.endswith("data: [DONE]\n\n") and text.count("[DONE]") == 1


def test_a18_text_that_no_segment_brought_comes_as_a_last_delta() -> None:
    parsed = events(stream(ScriptedService(Segments((FIRST,)), Done(TRANSCRIPT))))
    deltas = [each["delta"] for each in parsed if each["type"] == "transcript.text.delta"]
    assert "".join(deltas) == parsed[-1]["text"] == TEXT


def test_a20_subtitle_edit_reads_json_and_verbose_json() -> None:
    for fields in ({}, VERBOSE):
        assert as_subtitle_edit_reads(stream(ScriptedService(*EVENTS), **fields)) == TEXT


def test_json_has_times_in_done_for_who_asks_for_them_as_subtitle_edit_does() -> None:
    timed = {"timestamp_granularities[]": ["segment", "word"]}
    done = events(stream(ScriptedService(*EVENTS), **timed))[-1]
    assert [(each["id"], each["start"]) for each in done["segments"]] == [(0, 0.0), (1, 2.0)]
    assert len(done["words"]) == 4
    assert set(events(stream(ScriptedService(*EVENTS)))[-1]) == {"type", "text"}


def test_verbose_streams_have_segments_in_order_and_everything_in_done() -> None:
    parsed = events(stream(ScriptedService(*EVENTS), **VERBOSE))
    segments = [each for each in parsed if each["type"] == "transcript.text.segment"]
    assert [each["id"] for each in segments] == [0, 1]
    assert [each["start"] for each in segments] == [0.0, 2.0]
    done = parsed[-1]
    assert done["language"] == "english" and len(done["words"]) == 4 and done["duration"] == 4.0
    assert [each["speaker"] for each in done["segments"]] == ["A", "B"]


def test_a21_diarized_streams_tell_speakers_when_they_are_known() -> None:
    parsed = events(stream(ScriptedService(*EVENTS), **DIARIZED))
    segments = [each for each in parsed if each["type"] == "transcript.text.segment"]
    assert [(each["id"], each["speaker"]) for each in segments] == [
        ("seg_001", "A"),
        ("seg_002", "B"),
    ]
    assert parsed[-1]["segments"] == segments


def test_log_probabilities_come_with_deltas_and_done_if_they_are_asked_for() -> None:
    parsed = events(stream(ScriptedService(*EVENTS), **{"include[]": "logprobs"}))
    assert len(parsed[0]["logprobs"]) == 2 and len(parsed[-1]["logprobs"]) == 4
    assert "logprobs" not in events(stream(ScriptedService(*EVENTS)))[0]


def test_a22_a_stuck_engine_is_covered_by_comments() -> None:
    seen = threading.Event()
    service = ScriptedService(Progress(3.0, 60.0, 0.0), lambda: seen.wait(30), *EVENTS)
    with (
        served(service) as server,
        httpx.Client(timeout=30) as client,
        client.stream(
            "POST", server.url + wire.ROUTE, files={"file": b"R"}, data={"stream": "true"}
        ) as answer,
    ):
        comments = []
        for line in answer.iter_lines():
            if line.startswith(": progress "):
                comments.append(json.loads(line.removeprefix(": progress ")))
            # Nothing comes from the service until so many have been read.
            if len(comments) == 5:
                seen.set()
    assert comments[3:5] == [{"done_s": 3.0, "duration_s": 60.0, "queue_s": 0.0}] * 2


def test_a23_the_first_byte_comes_as_soon_as_a_request_is_admitted() -> None:
    read = threading.Event()
    # Not even the first event comes before the answer's beginning is read.
    service = ScriptedService(lambda: read.wait(30), *EVENTS)
    with served(service) as server, httpx.Client(timeout=30) as client:
        request = {"files": {"file": b"R"}, "data": {"stream": "true"}}
        with client.stream("POST", server.url + wire.ROUTE, **request) as answer:
            texts = answer.iter_text()
            assert next(texts).startswith(": progress ")
            read.set()
            assert "".join(texts).endswith("[DONE]\n\n")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RuntimeError("secret"), "internal_error"),
        (InvalidRequest("inputs", "unreadable", "no audio"), "audio_undecodable"),
    ],
)
def test_a16_an_error_in_the_middle_is_an_event_that_the_sdk_raises(error, code: str) -> None:
    service = ScriptedService(Segments((FIRST,)), Failed(error))
    parsed = events(stream(service))
    assert parsed[-1]["error"]["code"] == code and "secret" not in json.dumps(parsed)
    assert set(parsed[-1]["error"]) == {"message", "type", "param", "code"}
    with served(service) as server:
        client = OpenAI(base_url=f"{server.url}/v1", api_key="x", max_retries=0)
        answer = client.audio.transcriptions.create(
            file=("a.wav", b"RIFF"), model="whisper-1", stream=True
        )
        assert next(answer).type == "transcript.text.delta"
        with pytest.raises(APIError) as caught:
            next(answer)
        assert isinstance(caught.value.body, dict) and caught.value.body["code"] == code


@pytest.mark.parametrize("response_format", ["json", "verbose_json", "diarized_json"])
def test_the_sdk_reads_every_event(response_format: str) -> None:
    with served(ScriptedService(*EVENTS)) as server:
        client = OpenAI(base_url=f"{server.url}/v1", api_key="x")
        answer = client.audio.transcriptions.create(
            file=("a.wav", b"RIFF"),
            model="gpt-4o-transcribe-diarize",
            response_format=response_format,
            chunking_strategy="auto",
            stream=True,
        )
        heard = list(answer)
    deltas = [event.delta for event in heard if event.type == "transcript.text.delta"]
    assert "".join(deltas) == heard[-1].text == TEXT
