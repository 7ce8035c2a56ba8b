"""A server that keeps the rules passes every row; one that breaks a rule fails its row."""

from __future__ import annotations

import json

import pytest
from openai_stand_in import Answer, Break, StandIn
from paths import KENNEDY

from tools.conformance import errors, fields, formats, recorded, streams
from tools.conformance.recorded import subtitle_edit_reads
from tools.conformance.row import NotInstalled, Row, line, run
from tools.conformance.target import Event, Target, parsed_events

pytestmark = pytest.mark.pure

ROWS = tuple(row for room in (fields, formats, errors, streams, recorded) for row in room.ROWS)


def target_of(server: StandIn) -> Target:
    return Target(server.url, "a-key", KENNEDY, bytes(32_000))


def test_a_server_that_keeps_every_rule_passes_every_row() -> None:
    with StandIn() as server:
        failed = [line(outcome) for outcome in run(ROWS, target_of(server)) if not outcome.passed]
    assert failed == []


def changed(name: str, value: object) -> Break:
    """An answer in JSON that has something else for a key."""

    def spoil(answer: Answer) -> None:
        if isinstance(answer.body, dict) and name in answer.body:
            answer.body = {**answer.body, name: value}

    return spoil


def in_list(name: str, old: str, new: str) -> Break:
    """Objects in a list that have another key."""

    def spoil(answer: Answer) -> None:
        if isinstance(answer.body, dict) and name in answer.body:
            renamed = [{new if key == old else key: each[key] for key in each}
                       for each in answer.body[name]]  # fmt: skip
            answer.body = {**answer.body, name: renamed}

    return spoil


def written(old: str, new: str) -> Break:
    """Other text in a body that is no JSON."""

    def spoil(answer: Answer) -> None:
        if isinstance(answer.body, str):
            answer.body = answer.body.replace(old, new)

    return spoil


def as_fastapi_refuses(answer: Answer) -> None:
    if answer.status >= 400:
        answer.body = {"detail": "no"}


def as_json(answer: Answer) -> None:
    if isinstance(answer.body, str) and answer.content_type != "text/event-stream":
        answer.body, answer.content_type = json.dumps(answer.body), "application/json"


def without_warnings(answer: Answer) -> None:
    answer.headers.pop("x-warnings", None)
    changed("warnings", [])(answer)


def without_allow(answer: Answer) -> None:
    answer.headers.pop("allow", None)


BREAKS = [
    (changed("language", "en"), "verbose: language's name, numeric duration"),
    (changed("language", "en"), "translations, verbose: english"),
    (changed("duration", "4.0"), "verbose: language's name, numeric duration"),
    (changed("usage", None), "type duration, whole seconds"),
    (changed("text", " Ask your country."), "`text`, without blanks around it"),
    (changed("text", "Nothing."), "deltas = done = the text unstreamed"),
    (changed("text", "Nothing."), "the file last"),
    (in_list("words", "word", "text"), "verbose: words without blanks"),
    (in_list("segments", "no_speech_prob", "gone"), "verbose: all keys of segments"),
    (in_list("segments", "speaker", "gone"), "diarized: ids, letters for speakers"),
    (in_list("segments", "speaker", "gone"), "`/asr`: json with speakers"),
    (in_list("segments", "text", "speaker"), "no speakers unless asked"),
    (changed("segments", []), "json and granularities: segments with times"),
    (changed("words", []), "`timestamp_granularities`"),
    (changed("data", []), "a model of a name that it shows"),
    (changed("language_code", "de"), "`/detect-language` of samples"),
    (as_json, "srt as bare text"),
    (as_json, "text"),
    (written("\n", "\r\n\ufeff"), "vtt as bare text"),
    (written("00:00:00,000", "0"), "srt as bare text"),
    (as_fastapi_refuses, "bad values: 400, and `param` says which"),
    (as_fastapi_refuses, "not audio: 400, `error` with all keys"),
    (as_fastapi_refuses, "another URL: 404, `error`"),
    (as_fastapi_refuses, "`text`; `error.message`"),
    (without_allow, "another method: 405, `error`, Allow"),
    (without_warnings, "a field without effect is named"),
    (written('"text": "Ask', '"text": "", "was": "Ask'), "deltas = done = the text unstreamed"),
    (written("event: ", "x-event: "), "`event:` lines"),
    (written("event: ", "x-event: "), "the same as a stream"),
    (written("data: [DONE]", ": the end"), "delta and done alone, then [DONE]"),
    (written('"delta": ', '"segment_id": "seg_001", "delta": '), "json: no segment_id"),
    (written('"delta": ', '"segment_id": "seg_001", "delta": '), "the same as a stream"),
    (written(": hello", "id: 1"), "a comment at once"),
    (written('"speaker"', '"who"'), "diarized: segments with speakers"),
    (written("-->", "to"), "`/asr`: srt of samples"),
]


@pytest.mark.parametrize(("spoil", "needs"), BREAKS)
def test_a_server_that_breaks_a_rule_fails_its_row(spoil: Break, needs: str) -> None:
    rows = [row for row in ROWS if row.needs == needs]
    assert rows
    with StandIn(spoil) as server:
        outcomes = list(run(rows, target_of(server)))
    assert not any(outcome.passed for outcome in outcomes)
    assert all(outcome.reason for outcome in outcomes)


def test_a_server_that_is_not_there_fails_every_row() -> None:
    with StandIn() as server:
        target = target_of(server)
    assert not any(outcome.passed for outcome in run(ROWS, target))


def test_a_row_whose_client_is_not_installed_is_not_run() -> None:
    def check(target: Target) -> None:
        raise NotInstalled("a_client")

    with StandIn() as server:
        (outcome,) = run([Row("openai", "a client", "text", check)], target_of(server))
    assert outcome.passed is None
    assert line(outcome) == "| openai | a client | text | not run | not installed: a_client |"


def test_subtitle_edit_takes_segments_of_done_and_those_that_come_in_a_segment() -> None:
    segment = {"id": 0, "start": 1.0, "end": 2.0, "text": "One."}
    done = Event("transcript.text.done", json.dumps({"text": "One.", "segments": [segment]}))
    nested = Event("transcript.text.segment", json.dumps({"segment": segment}))
    flat = Event("transcript.text.segment", json.dumps(segment))
    delta = Event("transcript.text.delta", json.dumps({"delta": "One."}))
    for events in ([delta, done], [delta, nested], [delta, flat, done]):
        assert subtitle_edit_reads(events) == ("One.", [segment])
    bare = Event("transcript.text.done", json.dumps({"text": "One."}))
    (cue,) = subtitle_edit_reads([delta, bare])[1]
    assert cue["start"] == cue["end"] == 0.0


def test_events_are_read_as_browsers_read_them() -> None:
    lines = [": hello", "", "event: a", "data: one", "data:two", "", "data: [DONE]", ""]
    assert list(parsed_events(lines)) == [
        Event(comment="hello"),
        Event("a", "one\ntwo"),
        Event("", "[DONE]"),
    ]
