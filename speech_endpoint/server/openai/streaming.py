"""Server-sent events, while a recording is transcribed.

Progress goes in comment lines: a client that knows OpenAI's events meets none that it does not.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from starlette.types import Send

from speech_endpoint.output import openai
from speech_endpoint.server.errors import CallerGone
from speech_endpoint.server.middleware import noted
from speech_endpoint.server.openai.extras import extras
from speech_endpoint.server.openai.fields import AudioOptions
from speech_endpoint.server.work import Work
from speech_endpoint.service.events import Done, Event, Progress, Segments
from speech_endpoint.transcript import Segment, Transcript

HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    # nginx would hold the events back.
    (b"x-accel-buffering", b"no"),
)


async def stream_events(work: Work, options: AudioOptions, send: Send) -> None:
    """Answer with events, the first bytes at once.

    Raises:
        CallerGone: the caller hung up.
    """
    await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
    waiting_s = work.desk.service.status().estimated_wait_s
    await write(send, comment(Progress(0.0, None, waiting_s)))
    writer = EventWriter(options)
    progress = Progress(0.0, None, waiting_s)
    try:
        async with contextlib.aclosing(work.events()) as events:
            async for event in events:
                progress = event if isinstance(event, Progress) else progress
                for text in writer.on_event(event or progress):
                    await write(send, text)
    except CallerGone:
        raise
    except Exception as error:
        # It is too late for another status. SDKs raise when they read this.
        await write(send, message("error", noted(error, work.record).body()))
    await send({"type": "http.response.body", "body": b"", "more_body": False})


class EventWriter:
    """Puts what the service says into OpenAI's events."""

    def __init__(self, options: AudioOptions) -> None:
        self.options = options
        self._sent = ""
        """The text of all deltas."""
        self._n_segments = 0

    def on_event(self, event: Event) -> Iterator[str]:
        """What is to be written about an event."""
        if isinstance(event, Progress):
            yield comment(event)
        elif isinstance(event, Segments):
            for segment in event.segments:
                yield from self._segment(segment)
        elif isinstance(event, Done):
            yield from self._done(event.transcript)

    def _segment(self, segment: Segment) -> Iterator[str]:
        # The text as a whole has no blank in front.
        delta = segment.text if self._sent else segment.text.lstrip()
        if delta:
            yield self._delta(delta, segment)
        if self.options.response_format == "verbose_json":
            answer = openai.verbose_segment(self._n_segments, segment)
            named = {name: answer[name] for name in ("id", "start", "end", "text")}
            yield event_message("transcript.text.segment", named)
        self._n_segments += 1

    def _delta(self, delta: str, segment: Segment | None) -> str:
        self._sent += delta
        fields: dict[str, Any] = {"delta": delta}
        if segment is not None and "logprobs" in self.options.include:
            fields["logprobs"] = openai.word_logprobs(segment.words)
        return event_message("transcript.text.delta", fields)

    def _done(self, transcript: Transcript) -> Iterator[str]:
        named = openai.with_letters(transcript) if self.options.letters else transcript
        # Blanks at the end may have been sent; whatever was not, is now.
        text = transcript.text.lstrip()
        if text.startswith(self._sent) and (rest := text[len(self._sent) :].rstrip()):
            yield self._delta(rest, None)
        done: dict[str, Any] = {"text": self._sent}
        if self.options.response_format == "verbose_json":
            verbose = openai.to_verbose_json(
                named, self.options.config.task, self.options.granularities
            )
            done = {**verbose, **done}
            del done["usage"]
        elif self.options.response_format == "diarized_json":
            words = "word" in self.options.granularities
            segments = openai.to_diarized_json(named, words=words)["segments"]
            for segment in segments:
                yield event_message(segment["type"], segment)
            done["segments"] = segments
        elif "logprobs" in self.options.include:
            done["logprobs"] = openai.word_logprobs(transcript.words)
        if self.options.response_format == "json" and self.options.timed:
            done |= openai.times(named, self.options.granularities)
        done |= extras(named, self.options)
        if transcript.warnings:
            done["warnings"] = list(transcript.warnings)
        yield event_message("transcript.text.done", done)
        yield "data: [DONE]\n\n"


def event_message(kind: str, fields: Mapping[str, Any]) -> str:
    """An event whose data says its type, too."""
    return message(kind, {**fields, "type": kind})


def message(event: str, data: Mapping[str, Any]) -> str:
    """An event on the wire: JSON on one line."""
    return f"event: {event}\ndata: {json.dumps(data)}\n\n"


def comment(progress: Progress) -> str:
    """How far it is, as a line that every client skips."""
    fields = {
        "done_s": round(progress.done_s, 3),
        "duration_s": None if progress.duration_s is None else round(progress.duration_s, 3),
        "queue_s": round(progress.queue_s, 3),
    }
    return f": progress {json.dumps(fields)}\n\n"


async def write(send: Send, text: str) -> None:
    """Send a part of the stream."""
    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
