"""The parameters of a request: what is allowed, and what errors and warnings say."""

from __future__ import annotations

import re
from collections.abc import Collection, Container
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from speech_endpoint.errors import InvalidRequest, quoted
from speech_endpoint.languages import language_code
from speech_endpoint.limits import MAX_RATE_HZ, MAX_TRACKS, MIN_RATE_HZ
from speech_endpoint.voices.references import References

MAX_SPEAKERS = 100
"""As many as the two digits of their names (SPEAKER_00) tell apart."""
MAX_BATCH_SIZE = 128
"""A larger `batch_size` counts as this: a slot costs memory, and the steps get no faster."""
MIN_LINE_CHARS, MAX_LINE_CHARS = 20, 200
"""A speaker's name and a word fit in the least; no screen shows more than the most."""
NOT_GIVEN = frozenset({"", "none", "null"})
"""Text of a query string that means null."""
MAX_LANGUAGES = 100
"""As many as Whisper knows."""
MAX_KEYWORDS, MAX_KEYWORD_CHARS = 100, 100
"""More would not fit into the prompt."""
MIN_TEMPERATURE = 0.01
"""What a lower one above 0 counts as: it would make infinities of the model's weights."""
MAX_NAMED_UNKNOWN = 16
"""Unknown parameters that are named in warnings; the others are counted."""


def _boolean_from_query(value: Any) -> Any:
    """Read the booleans of a query string, as pydantic does for a `bool` alone."""
    try:
        return TypeAdapter(bool).validate_python(value)
    except ValidationError:
        return value


def _not_a_boolean(value: Any) -> Any:
    """Refuse true and false for a number, which pydantic takes for 1 and 0."""
    if isinstance(value, bool):
        raise PydanticCustomError("number_type", "Input should be a number")
    return value


def _text(value: str) -> str:
    """Refuse what is no Unicode text: tokenizers and JSON cannot encode it."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"character {error.start + 1:,} is half of a surrogate pair; send valid Unicode text"
        ) from None
    return value


def _is_given(value: Any) -> bool:
    """Whether a value is one: forms and query strings send what is left empty, too."""
    return value is not None and not (isinstance(value, str) and value.strip().lower() in NOT_GIVEN)


def _strings(value: Any) -> Any:
    """Read a list of strings, or text with commas between them, as query strings have lists."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if not isinstance(value, (list, tuple)):
        raise PydanticCustomError("list_type", "Input should be a list of strings, or one string")
    for part in value:
        if not isinstance(part, str):
            raise PydanticCustomError(
                "string_type", "Each should be a string, not {part}", {"part": quoted(part)}
            )
    return tuple(value)


def _language_codes(names: tuple[str, ...]) -> tuple[str, ...]:
    """The codes of languages that are named; each once."""
    if not 1 <= len(names) <= MAX_LANGUAGES:
        raise ValueError(f"give 1 to {MAX_LANGUAGES} languages (got {len(names):,})")
    codes: dict[str, None] = {}
    for name in names:
        code = language_code(name)
        if code is None:
            raise ValueError(f"{quoted(name, 40)} names none; leave languages out to detect any")
        codes[code] = None
    return tuple(codes)


def _lines(keywords: tuple[str, ...]) -> tuple[str, ...]:
    """Keywords as a glossary can hold them; each once."""
    keywords = tuple(dict.fromkeys(word.strip(" \t") for word in keywords if word.strip()))
    if len(keywords) > MAX_KEYWORDS:
        raise ValueError(f"at most {MAX_KEYWORDS} are allowed (got {len(keywords):,})")
    for word in keywords:
        if re.search(r"[<>\r\n]", word):
            raise ValueError(f"{quoted(word)} holds <, > or a line break; leave them out")
        if len(word) > MAX_KEYWORD_CHARS:
            raise ValueError(
                f"at most {MAX_KEYWORD_CHARS} characters each are allowed "
                f"({quoted(word, 40)} has {len(word):,})"
            )
    return tuple(map(_text, keywords))


Integer = Annotated[int, BeforeValidator(_not_a_boolean)]
BatchSize = Annotated[Integer, AfterValidator(lambda size: min(size, MAX_BATCH_SIZE))]
Number = Annotated[float, BeforeValidator(_not_a_boolean)]
Seconds = Number
SpeakerCount = Annotated[Integer, Field(ge=1, le=MAX_SPEAKERS)]
Temperature = Annotated[
    Number,
    Field(ge=0, le=1),
    AfterValidator(lambda t: max(t, MIN_TEMPERATURE) if t else 0.0),
]
Text = Annotated[str, AfterValidator(_text)]
Languages = Annotated[tuple[str, ...], BeforeValidator(_strings), AfterValidator(_language_codes)]
Keywords = Annotated[tuple[str, ...], BeforeValidator(_strings), AfterValidator(_lines)]


class InferenceConfig(BaseModel):
    """The `parameters` of one request; one that is null, "null", "none" or empty has its default.

    A validator sees only the fields above its own, so those that others are checked against come
    first.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    task: Literal["transcribe", "translate"] = "transcribe"
    batch_size: BatchSize = Field(default=24, ge=1)
    """Windows decoded together; more than `MAX_BATCH_SIZE` count as that."""
    assisted: bool = False
    """Whether the assistant model drafts."""
    chunk_length_s: Seconds = Field(default=30.0, ge=1.0, le=30.0)
    """Longest window, seconds."""
    sampling_rate: Integer = Field(default=16_000, ge=MIN_RATE_HZ, le=MAX_RATE_HZ)
    """Rate of headerless PCM, Hz."""
    audio_track: Integer | None = Field(default=None, ge=0, le=MAX_TRACKS - 1)
    """Which of a file's audio tracks, from 0; None: the first that has sound."""
    language: str | None = None
    """A code ("en"), whatever name of the language was given; None: detected."""
    languages: Languages | None = None
    """The only languages to detect, with commas between them; not with `language`."""
    channels: Literal["mix", "speakers"] = "mix"
    """"speakers": each channel holds one speaker, as telephone systems record; no diarization."""
    max_speakers: SpeakerCount | None = None
    min_speakers: SpeakerCount | None = None
    num_speakers: SpeakerCount | None = None
    return_timestamps: Annotated[
        Literal[True, False, "segment", "word"], BeforeValidator(_boolean_from_query)
    ] = True
    diarize: bool | None = None
    """None: where the endpoint can."""
    known_speakers: References = ()
    """Names, and the voices that they are known by: voiceprints, or clips in base64."""
    known_speaker_threshold: Number | None = Field(default=None, ge=0, le=1)
    """The least cosine of a speaker and a known voice; None: as measured."""
    prompt: Text | None = None
    """Text that steers spelling and names."""
    keywords: Keywords = ()
    """Names and terms to expect, with commas between them."""
    temperature: Temperature = 0.0
    """Where decoding begins, 0 to 1; above 0 tokens are drawn at random, from a fixed seed."""
    response_format: Literal["json", "text", "srt", "vtt", "rttm"] = "json"
    max_line_chars: Integer = Field(default=42, ge=MIN_LINE_CHARS, le=MAX_LINE_CHARS)
    """Of a subtitle's line; full-width characters count for more."""
    max_cue_s: Seconds = Field(default=7.0, ge=1.0, le=30.0)
    """How long a subtitle may be on the screen, seconds."""
    speaker_labels: bool = True
    """Whether subtitles name the speakers."""

    @model_validator(mode="before")
    @classmethod
    def _drop_what_is_not_given(cls, parameters: Any) -> Any:
        if not isinstance(parameters, dict):
            return parameters
        return {name: value for name, value in parameters.items() if _is_given(value)}

    @field_validator("language")
    @classmethod
    def _to_code(cls, language: str | None) -> str | None:
        return None if language is None else language_code(language)

    @field_validator("languages")
    @classmethod
    def _check_languages(
        cls, languages: tuple[str, ...] | None, info: ValidationInfo
    ) -> tuple[str, ...] | None:
        if languages is not None and info.data.get("language") is not None:
            raise ValueError("not with language; leave one of them out")
        return languages

    @field_validator("num_speakers", "min_speakers", "max_speakers")
    @classmethod
    def _check_channels(cls, count: int | None, info: ValidationInfo) -> int | None:
        if count is not None and info.data.get("channels") == "speakers":
            raise ValueError("not with channels: 'speakers', where the channels are the speakers")
        return count

    @field_validator("min_speakers")
    @classmethod
    def _check_minimum(cls, low: int | None, info: ValidationInfo) -> int | None:
        high = info.data.get("max_speakers")
        if low is not None and high is not None and low > high:
            raise ValueError(
                f"{low} is more than max_speakers: {high}; give min_speakers <= max_speakers"
            )
        return low

    @field_validator("num_speakers")
    @classmethod
    def _check_range(cls, exact: int | None, info: ValidationInfo) -> int | None:
        if exact is None or not {"min_speakers", "max_speakers"} <= info.data.keys():
            # Nothing to check, or a limit that is wrong itself, which has its own error.
            return exact
        low, high = info.data["min_speakers"], info.data["max_speakers"]
        if not (low or 1) <= exact <= (high or exact):
            raise ValueError(f"{exact} lies outside min_speakers: {low} to max_speakers: {high}")
        return exact

    @field_validator("diarize")
    @classmethod
    def _check_diarize(cls, diarize: bool | None, info: ValidationInfo) -> bool | None:
        if diarize is False and info.data.get("channels") == "speakers":
            raise ValueError("false contradicts channels: 'speakers'; leave one of them out")
        return diarize

    @field_validator("known_speakers")
    @classmethod
    def _check_known(cls, known: References, info: ValidationInfo) -> References:
        if known and info.data.get("diarize") is False:
            raise ValueError("not with diarize: false; leave one of them out")
        if known and info.data.get("channels") == "speakers":
            raise ValueError("not with channels: 'speakers', where the channels are the speakers")
        return known

    @classmethod
    def from_parameters(cls, parameters: Any) -> tuple[InferenceConfig, list[str]]:
        """Validate a request's `parameters`.

        Returns:
            The configuration, and a warning for each name that is not known.

        Raises:
            InvalidRequest: naming each field that is wrong, what was given and what is allowed; its
                `field` and `code` are those of the first.
        """
        if parameters is None:
            parameters = {}
        if not isinstance(parameters, dict):
            given = type(parameters).__name__
            raise InvalidRequest("parameters", "invalid_type", f"expected an object, got {given}")
        known = {name: value for name, value in parameters.items() if name in cls.model_fields}
        try:
            config = cls.model_validate(known)
        except ValidationError as error:
            (field, code, message), *others = map(_describe, error.errors())
            more = [f"{other_field}: {other_message}" for other_field, _, other_message in others]
            raise InvalidRequest(field, code, "; ".join([message, *more])) from None
        return config, warn_of_unknown("parameters: unknown parameter", parameters, known)


def warn_of_unknown(kind: str, given: Collection[Any], known: Container[Any]) -> list[str]:
    """Warnings that name the first of the given names that are not known, and count the others."""
    unknown = [name for name in given if name not in known]
    warnings = [f"{kind} {quoted(name, 60)} was ignored" for name in unknown[:MAX_NAMED_UNKNOWN]]
    n_more = len(unknown) - MAX_NAMED_UNKNOWN
    return [*warnings, f"{kind}s: {n_more:,} more were ignored"] if n_more > 0 else warnings


def _describe(problem: ErrorDetails) -> tuple[str, str, str]:
    """The field, code and message of `InvalidRequest` for one of pydantic's errors."""
    field = f"parameters.{problem['loc'][0]}"
    if problem["type"] == "value_error":
        # Of a validator above: it has said what was given.
        return field, "invalid_value", str(problem["ctx"]["error"])
    is_type = problem["type"].endswith(("_type", "_parsing", "_from_float"))
    code = "invalid_type" if is_type else "invalid_value"
    return field, code, f"{problem['msg']} (got {quoted(problem['input'])})"
