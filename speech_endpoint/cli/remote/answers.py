"""Answers of an endpoint: JSON, or events whose last one holds it, and what a status means."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import requests

from speech_endpoint.cli.recognisers import Advance, OnAdvance
from speech_endpoint.cli.remote.endpoint_errors import (
    EndpointError,
    EndpointOverloaded,
    EndpointUnreachable,
)
from speech_endpoint.errors import InvalidRequest

EVENTS = "text/event-stream"
PROGRESS = "progress "
"""What a comment line that says how far it is begins with."""
KEY_REFUSED = frozenset({401, 403})
CALLERS_FAULT = frozenset({400, 411, 413, 415, 422})
OK = 200
MAX_QUOTED = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    url: str
    status: int
    body: bytes
    """JSON, if it is as it should be."""
    reason: str = ""
    retry_after: str | None = None
    is_final: bool = False
    """Whether the endpoint says that asking again is of no use: what a recording that takes too
    long for it is answered, for example."""


def read_answer(response: requests.Response, on_advance: OnAdvance) -> Answer:
    """Read an answer to its end.

    Args:
        response: whose body has not been read.
        on_advance: told how far the recording is, where the answer comes as events.

    Raises:
        requests.RequestException: the connection broke.
        EndpointError: its events are none of this project's.
    """
    if response.headers.get("Content-Type", "").startswith(EVENTS):
        try:
            return _last_event(response, on_advance)
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, requests.RequestException):
                raise
            raise EndpointError(f"{response.url} answers events of another kind") from None
    return Answer(
        response.url,
        response.status_code,
        response.content,
        response.reason,
        response.headers.get("Retry-After"),
        is_final=response.headers.get("X-Should-Retry") == "false",
    )


def _last_event(response: requests.Response, on_advance: OnAdvance) -> Answer:
    reached = Advance(0.0, None)
    for kind, data in _events(response):
        if kind == "answer":
            return Answer(response.url, OK, data)
        if kind == "error":
            error = json.loads(data)
            status = int(error["status"])
            return Answer(response.url, status, data, is_final=error.get("should_retry") is False)
        fields = json.loads(data)
        if kind == "segment":
            on_advance(Advance(reached.done_s, reached.duration_s, fields["text"]))
        elif kind == "progress":
            reached = Advance(fields["done_s"], fields["duration_s"])
            on_advance(reached)
    raise requests.ConnectionError("the answer ended before its end")


def _events(response: requests.Response) -> Iterator[tuple[str, bytes]]:
    """Each event's type and data, and each progress."""
    kind = ""
    for line in response.iter_lines():
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not name and value.startswith(PROGRESS.encode()):
            yield "progress", value.removeprefix(PROGRESS.encode())
        elif name == b"event":
            kind = value.decode()
        elif name == b"data":
            yield kind, value


def content(answer: Answer) -> Any:
    """An answer's JSON.

    Raises:
        InvalidRequest: the endpoint refuses this file or these parameters.
        EndpointError: it cannot serve it; see its subclasses.
    """
    status, url = answer.status, answer.url
    if status == OK:
        try:
            return json.loads(answer.body)
        except ValueError:
            raise EndpointError(f"{url} answers no JSON") from None
    message = _message(answer)
    if status in CALLERS_FAULT:
        raise InvalidRequest("request", "refused", message)
    if status in KEY_REFUSED:
        raise EndpointUnreachable(
            f"{url} refuses the key ({status}); set SPEECH_API_KEY or HF_TOKEN"
        )
    if status in (429, 503):
        raise EndpointOverloaded(f"{url} has no room ({status}): {message}")
    if status in (404, 405):
        raise EndpointUnreachable(f"{url}: no speech endpoint there ({status})")
    raise EndpointError(f"{url} answers {status}: {message}")


def _message(answer: Answer) -> str:
    """What an error's body says, in the host's shape or in OpenAI's."""
    try:
        error = json.loads(answer.body)["error"]
    except (ValueError, KeyError, TypeError):
        text = answer.body[:MAX_QUOTED].decode(errors="replace").strip()
        return text or answer.reason
    return str(error.get("message", error) if isinstance(error, dict) else error)
