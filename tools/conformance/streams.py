"""Streams: rules A-18 to A-23."""

from __future__ import annotations

from itertools import pairwise

from tools.conformance.row import Row, expect
from tools.conformance.target import Event, Target

DELTA, SEGMENT, DONE = (f"transcript.text.{kind}" for kind in ("delta", "segment", "done"))


def deltas(target: Target) -> None:
    events = target.events([])
    text, done = joined(events), last(events, DONE)
    expect(text == done.json.get("text"), f"deltas {text[:60]!r}, done {done.json.get('text')!r}")
    expect(text == target.text, f"without a stream: {target.text[:60]!r}")


def names(target: Target) -> None:
    events = [event for event in target.events([]) if event.json]
    wrong = [event for event in events if event.name != event.json.get("type")]
    expect(not wrong, "data without its `event:` line" if wrong and not wrong[0].name else "names")


def ends(target: Target) -> None:
    events = [event for event in target.events([]) if not event.comment]
    expect(events and events[-1].data == "[DONE]", "no [DONE] at the end")
    kinds = {event.json["type"] for event in events if event.json}
    expect(kinds == {DELTA, DONE}, f"types {', '.join(sorted(kinds))}")


def numbered(target: Target) -> None:
    held = [event for event in target.events([]) if "segment_id" in event.json]
    expect(not held, "segment_id in a stream of json")


def in_order(target: Target) -> None:
    events = target.events([("response_format", "verbose_json")])
    starts = [event.json["start"] for event in events if event.json.get("type") == SEGMENT]
    expect(starts, "no segments")
    expect(all(one <= other for one, other in pairwise(starts)), f"starts {starts}")
    done = last(events, DONE).json
    expect(joined(events) == done.get("text"), "deltas are not the text of done")
    expect({"segments", "language", "duration"} <= set(done), f"done has {', '.join(done)}")


def speakers(target: Target) -> None:
    fields = [("response_format", "diarized_json"), ("chunking_strategy", "auto")]
    events = target.events(fields)
    segments = [event.json for event in events if event.json.get("type") == SEGMENT]
    expect(segments, "no segments")
    for segment in segments:
        missing = {"id", "start", "end", "text", "speaker"} - set(segment)
        expect(not missing, f"a segment without {', '.join(sorted(missing))}")
    expect(joined(events) == last(events, DONE).json.get("text"), "deltas are not the text")


def comments(target: Target) -> None:
    events = target.events([])
    expect(events and events[0].comment, "the first line is no comment")


def headers(target: Target) -> None:
    response = target.post([("model", "whisper-1"), ("stream", "true")])
    content_type = response.headers.get("content-type", "")
    expect(content_type.startswith("text/event-stream"), f"content type {content_type}")
    expect("no-" in response.headers.get("cache-control", ""), "caches may keep it")


def not_streamed(target: Target) -> None:
    fields = [("model", "whisper-1"), ("response_format", "srt"), ("stream", "true")]
    status = target.post(fields).status_code
    expect(status == 400, f"srt as a stream: {status}")


def joined(events: list[Event]) -> str:
    """The text of all deltas."""
    return "".join(each.json["delta"] for each in events if each.json.get("type") == DELTA)


def last(events: list[Event], kind: str) -> Event:
    """The last event of a type."""
    found = [event for event in events if event.json.get("type") == kind]
    expect(found, f"no {kind}")
    return found[-1]


ROWS = (
    Row("openai", "A-18", "deltas = done = the text unstreamed", deltas),
    Row("openai", "A-18", "delta and done alone, then [DONE]", ends),
    Row("openai", "A-18", "`event:` lines", names),
    Row("openai", "A-19", "verbose: segments in order of time", in_order),
    Row("openai", "A-20", "json: no segment_id", numbered),
    Row("openai", "A-21", "diarized: segments with speakers", speakers),
    Row("openai", "A-22", "headers of a stream", headers),
    Row("openai", "A-23", "a comment at once", comments),
    Row("openai", "1.2", "srt is not streamed: 400", not_streamed),
)
