"""The server that is asked, and the recording that it is asked about."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import requests

ROUTE = "/v1/audio/transcriptions"
SAMPLE_RATE_HZ = 16_000
TIMEOUT_S = 300
SPOKEN = "country"
"""A word that is said in the recording."""
Fields = Sequence[tuple[str, str]]
BOTH_TIMES = (("timestamp_granularities[]", "word"), ("timestamp_granularities[]", "segment"))
NO_FILE = b"\0no file"


@dataclass(frozen=True)
class Event:
    """A server-sent event; a comment has no fields but `comment`."""

    name: str = ""
    data: str = ""
    comment: str = ""

    @property
    def json(self) -> dict[str, Any]:
        """The data's object; empty for [DONE] and comments."""
        return json.loads(self.data) if self.data.startswith("{") else {}


@dataclass(frozen=True)
class Target:
    """Where, as whom, and what is sent.

    Attributes:
        url: of the server, without "/v1".
        key: sent as a bearer.
        clip: a file.
        samples: of the clip: 16 bit, 16 kHz, mono, without a header.
    """

    url: str
    key: str
    clip: Path
    samples: bytes

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    @cached_property
    def wav(self) -> bytes:
        """The samples under a header."""
        stream = io.BytesIO()
        with wave.open(stream, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE_HZ)
            file.writeframes(self.samples)
        return stream.getvalue()

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, headers=self.headers, timeout=TIMEOUT_S)

    def post(
        self,
        fields: Fields = (),
        path: str = ROUTE,
        *,
        file: bytes | None = None,
        part: tuple[str, str, str] = ("file", "clip.ogg", "audio/ogg"),
        params: Mapping[str, str] | None = None,
        file_last: bool = False,
    ) -> requests.Response:
        """A form with fields and a file, in an order that is decided here.

        Args:
            fields: names and values.
            path: of the route.
            file: its bytes: the clip, if none are given; NO_FILE sends no such part.
            part: name of the field, name of the file, media type.
            params: of the query.
            file_last: rather than first.
        """
        name, file_name, media_type = part
        content = self.clip.read_bytes() if file is None else file
        form: list[tuple[str, Any]] = [(field, (None, value)) for field, value in fields]
        if content != NO_FILE:
            form.insert(len(form) if file_last else 0, (name, (file_name, content, media_type)))
        return requests.post(
            self.url + path,
            files=form,
            params=params,
            headers=self.headers,
            timeout=TIMEOUT_S,
            stream=True,
        )

    @cached_property
    def verbose(self) -> dict[str, Any]:
        """A verbose answer with both granularities, asked for once."""
        fields = [("model", "whisper-1"), ("response_format", "verbose_json"), *BOTH_TIMES]
        return answered(self.post(fields))

    @cached_property
    def text(self) -> str:
        """The clip's text, asked for once."""
        return str(answered(self.post([("model", "whisper-1")]))["text"])

    def events(self, fields: Fields) -> list[Event]:
        """All events of a stream."""
        response = self.post([("model", "whisper-1"), *fields, ("stream", "true")])
        content_type = response.headers.get("content-type", "")
        if response.status_code != 200 or not content_type.startswith("text/event-stream"):
            raise ValueError(f"no stream: {response.status_code} {content_type}")
        return list(parsed_events(response.content.decode().splitlines()))


def parsed_events(lines: Sequence[str]) -> Iterator[Event]:
    """Events on the wire (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
    name, data = "", list[str]()
    for line in [*lines, ""]:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line and (name or data):
            yield Event(name, "\n".join(data))
            name, data = "", []
        elif line.startswith(":"):
            yield Event(comment=value)
        elif field == "event":
            name = value
        elif field == "data":
            data.append(value)


def answered(response: requests.Response) -> dict[str, Any]:
    """The object of a good answer."""
    if response.status_code != 200:
        raise ValueError(f"{response.status_code} {response.text[:200]}")
    body = response.json()
    if not isinstance(body, dict):
        raise TypeError(f"JSON, but no object: {body!r:.100}")
    return body
