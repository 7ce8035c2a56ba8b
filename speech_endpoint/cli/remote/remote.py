"""Transcribing at an endpoint: one that speaks the host's rules, or OpenAI's audio API."""

from __future__ import annotations

import base64
import bisect
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit

from speech_endpoint.cli.recognisers import OnAdvance, ignore
from speech_endpoint.cli.remote.endpoint_errors import EndpointError
from speech_endpoint.cli.remote.http import EndpointClient
from speech_endpoint.languages import language_code
from speech_endpoint.output.parsing import from_json
from speech_endpoint.transcript import Segment, Transcript, Turn, Word

# An endpoint that sleeps is started by the first request, which then waits for it, seconds.
# This project's server streams where that is preferred, and no other server knows the preference.
HEADERS = {"X-Scale-Up-Timeout": "600", "Prefer": "event-stream"}
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
        self._client = EndpointClient(url, key, HEADERS)
        self.description, self.max_jobs = url, max_jobs

    def transcribe(
        self, audio: bytes, parameters: Mapping[str, Any], on_advance: OnAdvance = ignore
    ) -> Transcript:
        """As `Recogniser.transcribe`."""
        asked = {**parameters, "return_timestamps": "word"}
        body = {"inputs": base64.b64encode(audio).decode("ascii"), "parameters": asked}
        try:
            return from_json(self._client.post(on_advance, json=body))
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

    def transcribe(
        self, audio: bytes, parameters: Mapping[str, Any], on_advance: OnAdvance = ignore
    ) -> Transcript:
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
    written = [segment for segment in map(_segment, parts, words) if segment.text.strip()]
    said = [word for segment in written for word in segment.words]
    return Transcript(
        segments=tuple(written),
        turns=tuple(
            Turn(speaker, tuple(own))
            for speaker, own in groupby(said, key=lambda word: word.speaker)
            if speaker is not None
        ),
        language=_code(answer.get("language")),
        duration_s=float(answer.get("duration") or 0.0),
        warnings=tuple(map(str, answer.get("warnings") or ())),
    )


def _segment(part: Mapping[str, Any], words: Sequence[Mapping[str, Any]]) -> Segment:
    """A segment with its words' times where the words are its text's, else as one word."""
    texts, speaker = part["text"].split(), part.get("speaker")
    if len(texts) != len(words):
        word = Word(part["text"], float(part["start"]), float(part["end"]), speaker=speaker)
        return Segment((word,))
    return Segment(
        tuple(
            Word(
                f" {text}",
                float(word["start"]),
                float(word["end"]),
                speaker=word.get("speaker", speaker),
            )
            for text, word in zip(texts, words, strict=True)
        )
    )


def _code(language: str | None) -> str | None:
    """Of a language that servers call by its English name; as they call it, if it is another.

    Whisper's names are with transformers, which whoever works at an endpoint may not have.
    """
    try:
        return language_code(language or "")
    except (ImportError, ValueError):
        return language
