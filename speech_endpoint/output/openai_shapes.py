"""The shapes of OpenAI's audio API, as types; keys that are ours are extra.

https://github.com/openai/openai-openapi, `CreateTranscriptionResponse…`.
"""

from __future__ import annotations

from typing import Any, NotRequired

# pydantic makes schemas of them, and asks for this one before Python 3.12.
from typing_extensions import TypedDict


class Usage(TypedDict):
    """What is billed, elsewhere."""

    type: str
    seconds: int


class LanguageCode(TypedDict):
    """One of the languages that are spoken."""

    code: str


class TokenLogprob(TypedDict):
    """How sure the model is of a word: ours are whole words, with calibrated probabilities."""

    token: str
    logprob: float
    bytes: list[int]


class VerboseWord(TypedDict):
    """A word of `verbose_json`; `probability` and `speaker` are ours."""

    word: str
    start: float
    end: float
    probability: float
    speaker: NotRequired[str]


class VerboseSegment(TypedDict):
    """A segment of `verbose_json`; `speaker` is ours."""

    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: list[int]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    speaker: NotRequired[str]


class Extras(TypedDict, total=False):
    """What is ours in an answer: warnings where there are any, the others for who asks for them."""

    warnings: list[str]
    known_speakers: list[dict[str, Any]]
    speakers: list[dict[str, Any]]
    timings: dict[str, float]


class Json(Extras):
    """The answer in `json`; segments and words for who asks for their times."""

    text: str
    usage: Usage
    languages: list[LanguageCode]
    segments: NotRequired[list[VerboseSegment]]
    words: NotRequired[list[VerboseWord]]
    logprobs: NotRequired[list[TokenLogprob]]


class VerboseJson(Extras):
    """The answer in `verbose_json`."""

    task: str
    language: str
    duration: float
    text: str
    segments: NotRequired[list[VerboseSegment]]
    words: NotRequired[list[VerboseWord]]
    usage: Usage


class DiarizedSegment(TypedDict):
    """A turn of `diarized_json`; `words` are ours."""

    type: str
    id: str
    start: float
    end: float
    text: str
    speaker: str
    words: NotRequired[list[VerboseWord]]


class DiarizedJson(Extras):
    """The answer in `diarized_json`; `transcript`, the text without names, is ours."""

    task: str
    duration: float
    text: str
    transcript: str
    segments: list[DiarizedSegment]
    usage: Usage


class DiarizationSegment(TypedDict):
    """Who spoke when."""

    id: str
    speaker: str
    start: float
    end: float
    confidence: NotRequired[float]


class DiarizationJson(TypedDict):
    """The answer of /v1/audio/diarization."""

    task: str
    duration: float
    num_speakers: int
    segments: list[DiarizationSegment]
    usage: Usage
    known_speakers: NotRequired[list[dict[str, Any]]]
    warnings: NotRequired[list[str]]


class VoiceprintJson(TypedDict):
    """The answer of /v1/audio/voiceprints."""

    object: str
    voiceprint: str
    model: str
    seconds_of_speech: float
    voices: int
    warnings: list[str]
