"""Transcribing at an endpoint: one that speaks the host's rules, or OpenAI's audio API."""

from __future__ import annotations

import base64
import bisect
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from speech_endpoint.cli.remote.endpoint_errors import EndpointError
from speech_endpoint.cli.remote.http import EndpointClient
from speech_endpoint.output.parsing import from_json
from speech_endpoint.transcript import Segment, Transcript, Word

# An endpoint that sleeps is started by the first request, which then waits for it, seconds.
SCALE_UP_HEADER = {"X-Scale-Up-Timeout": "600"}
OPENAI_ROUTE = "/v1/audio/transcriptions"
OPENAI_MODEL = "whisper-1"


class HostEndpoint:
    """An Inference Endpoint of this project, or its server: both take the host's JSON."""

    def __init__(self, url: str, key: str | None, max_jobs: int) -> None:
        """
        Args:
            url: of the endpoint.
            key: a Hub token, or the server's key.
            max_jobs: requests at once.
        """
        self._client = EndpointClient(url, key, SCALE_UP_HEADER)
        self.description, self.max_jobs = url, max_jobs

    def transcribe(self, audio: bytes, parameters: Mapping[str, Any]) -> Transcript:
        """As `Recogniser.transcribe`."""
        asked = {**parameters, "return_timestamps": "word"}
        body = {"inputs": base64.b64encode(audio).decode("ascii"), "parameters": asked}
        try:
            return from_json(self._client.post(json=body))
        except ValueError as error:
            if type(error) is ValueError:
                raise EndpointError(f"{self.description}: {error}") from None
            raise

    def close(self) -> None:
        """As `Recogniser.close`."""
        self._client.close()


class OpenAIEndpoint:
    """Any server of OpenAI's audio API. Speakers come only where the server adds them."""

    def __init__(self, url: str, key: str | None, max_jobs: int) -> None:
        """Arguments as of `HostEndpoint`; a URL without a path gets the API's."""
        path = urlsplit(url).path.rstrip("/")
        route = (
            ""
            if path.endswith(OPENAI_ROUTE)
            else OPENAI_ROUTE.removeprefix("/v1" if path.endswith("/v1") else "")
        )
        self._client = EndpointClient(url.rstrip("/") + route, key)
        self.description, self.max_jobs = url, max_jobs

    def transcribe(self, audio: bytes, parameters: Mapping[str, Any]) -> Transcript:
        """As `Recogniser.transcribe`."""
        form: list[tuple[str, Any]] = [
            ("model", OPENAI_MODEL),
            ("response_format", "verbose_json"),
            ("timestamp_granularities[]", "word"),
            ("timestamp_granularities[]", "segment"),
            *(field for parameter in parameters.items() for field in _form_fields(*parameter)),
        ]
        answer = self._client.post(data=form, files={"file": ("audio", audio)})
        return _from_verbose_json(answer)

    def close(self) -> None:
        """As `Recogniser.close`."""
        self._client.close()


def _form_fields(name: str, value: Any) -> list[tuple[str, str]]:
    if name == "known_speakers":
        return [(f"known_speaker_{key}s[]", entry[key]) for entry in value for key in entry]
    return [(name, str(value).lower() if isinstance(value, bool) else str(value))]


def _from_verbose_json(answer: Mapping[str, Any]) -> Transcript:
    parts = answer.get("segments") or []
    starts = [float(part["start"]) for part in parts]
    words: list[list[Mapping[str, Any]]] = [[] for _ in parts]
    for word in (answer.get("words") or ()) if parts else ():
        words[max(0, bisect.bisect_right(starts, float(word["start"])) - 1)].append(word)
    segments = map(_segment, parts, words)
    return Transcript(
        segments=tuple(segment for segment in segments if segment.text.strip()),
        language=answer.get("language"),
        duration_s=float(answer.get("duration") or 0.0),
        warnings=tuple(map(str, answer.get("warnings") or ())),
    )


def _segment(part: Mapping[str, Any], words: Sequence[Mapping[str, Any]]) -> Segment:
    """A segment with its words' times where the words are its text's, else as one word."""
    texts = part["text"].split()
    if len(texts) != len(words):
        return Segment((Word(part["text"], float(part["start"]), float(part["end"])),))
    return Segment(
        tuple(
            Word(f" {text}", float(word["start"]), float(word["end"]))
            for text, word in zip(texts, words, strict=True)
        )
    )
