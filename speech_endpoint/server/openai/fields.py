"""The fields of a form that OpenAI's clients send, as parameters of ours."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from speech_endpoint.config import InferenceConfig
from speech_endpoint.errors import InvalidRequest, quoted
from speech_endpoint.parameters import NOT_GIVEN
from speech_endpoint.server.openai.known_speakers import NAMES, REFERENCES, known_speakers
from speech_endpoint.server.settings import ServerSettings

FORMATS = ("json", "text", "srt", "verbose_json", "vtt", "diarized_json", "rttm", "tsv")
STREAMED_FORMATS = ("json", "text", "verbose_json", "diarized_json")
GRANULARITIES = ("word", "segment")
INCLUDES = ("logprobs", "speakers", "timings", "waveform")
LISTS = frozenset({
    "languages", "keywords", "timestamp_granularities", "include", "known_speaker_names",
    "known_speaker_references",
})  # fmt: skip
"""Fields of several values: sent again and again, with "[]" after the name or without."""
ALIASES = {
    "diarization": "diarize",
    "enable_diarization": "diarize",
    "initial_prompt": "prompt",
    "max_speaker_count": "max_speakers",
    "min_speaker_count": "min_speakers",
}
PARAMETERS = frozenset(InferenceConfig.model_fields) - {
    "response_format", "return_timestamps", "known_speakers",
}  # fmt: skip
"""Of ours, under their own names."""
READ = PARAMETERS | LISTS | {
    "model", "response_format", "return_timestamps", "stream", "hotwords", "translate",
    "chunking_strategy", "vad_filter",
}  # fmt: skip
BOOLEANS = {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}
DIARIZING_MODEL = "-diarize"
"""What the name of a model ends with that tells speakers apart."""
TURBO = "turbo"
MAX_NAMED = 60


@dataclass(frozen=True)
class AudioOptions:
    """What a caller wants, checked."""

    config: InferenceConfig
    response_format: str = "json"
    granularities: frozenset[str] = frozenset({"segment"})
    timed: bool = False
    """Whether times were asked for by name, so that `json` has them, too."""
    include: frozenset[str] = frozenset()
    stream: bool = False
    letters: bool = True
    """Whether speakers are called A, B, … rather than SPEAKER_00."""
    warnings: tuple[str, ...] = ()


@dataclass
class Fields:
    """A form's fields under their plain names, and which of them had an effect."""

    values: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, given: Sequence[tuple[str, str]]) -> Fields:
        """Sort fields; of one that is given twice where one is meant, the last counts."""
        fields = cls()
        nested: dict[str, str] = {}
        for raw_name, value in given:
            name, _, key = raw_name.partition("[")
            name = ALIASES.get(name, name)
            if name in LISTS:
                fields.lists.setdefault(name, []).append(value)
            elif name == "chunking_strategy" and key:
                nested[key.rstrip("]")] = value
            else:
                if name in fields.values:
                    fields.warn(f"{quoted(name, MAX_NAMED)}: given more than once; the last counts")
                is_null = name != "prompt" and value.strip().lower() in NOT_GIVEN
                fields.values[name] = "" if is_null else value
        if nested:
            fields.values["chunking_strategy"] = json.dumps(nested)
        return fields

    def warn(self, sentence: str) -> None:
        self.warnings.append(sentence)

    def text(self, name: str) -> str | None:
        """A value; None where none is given, or an empty one."""
        return self.values.get(name, "").strip() or None

    def choice(self, name: str, allowed: Sequence[str], default: str) -> str:
        """One of the allowed values."""
        value = self.text(name) or default
        if value not in allowed:
            raise invalid(name, f"{quoted(value)} is not one of {', '.join(allowed)}")
        return value

    def boolean(self, name: str) -> bool | None:
        """Whether; None where nothing is given."""
        value = self.text(name)
        if value is None:
            return None
        if value.lower() not in BOOLEANS:
            raise invalid(name, f"expected true or false (got {quoted(value)})")
        return BOOLEANS[value.lower()]


def invalid(name: str, message: str, code: str = "invalid_value") -> InvalidRequest:
    """The error for a field."""
    return InvalidRequest(f"parameters.{name}", code, message)


def read_options(
    given: Sequence[tuple[str, str]], settings: ServerSettings, task: str | None = None
) -> AudioOptions:
    """Read the fields of a form.

    Args:
        given: names as they were sent ("include[]") and values, in order.
        settings: what is loaded.
        task: that the route stands for.

    Raises:
        InvalidRequest: naming the field, what was given and what is allowed.
    """
    fields = Fields.of(given)
    response_format = fields.choice("response_format", FORMATS, "json")
    stream = fields.boolean("stream") or False
    if stream and response_format not in STREAMED_FORMATS:
        allowed = ", ".join(STREAMED_FORMATS)
        raise invalid(
            "response_format",
            f"{response_format!r} cannot be streamed; give one of {allowed}",
            "unavailable",
        )
    _check_chunking(fields)
    parameters = _parameters(fields, task)
    _set_diarize(parameters, fields, settings, response_format)
    letters = parameters.get("speaker_labels") != "pyannote"
    if not letters:
        del parameters["speaker_labels"]
    granularities = _granularities(fields)
    include = _include(fields)
    _warn_of_unread(fields, settings, parameters)
    config, warnings = InferenceConfig.from_parameters(parameters)
    return AudioOptions(
        config,
        response_format,
        granularities,
        "timestamp_granularities" in fields.lists,
        include,
        stream,
        letters,
        tuple(fields.warnings + warnings),
    )


def _parameters(fields: Fields, task: str | None) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        name: value for name, value in fields.values.items() if name in PARAMETERS and value.strip()
    }
    for name in ("diarize", "assisted"):
        if name in parameters:
            parameters[name] = fields.boolean(name)
    if fields.boolean("translate"):
        parameters["task"] = "translate"
    if task:
        parameters["task"] = task
    if languages := _parts(fields.lists.get("languages", [])):
        parameters["languages"] = languages
    hotwords = fields.values.get("hotwords", "")
    if keywords := _parts([*fields.lists.get("keywords", []), hotwords]):
        parameters["keywords"] = keywords
    names, references = (fields.lists.get(name, []) for name in (NAMES, REFERENCES))
    if known := known_speakers(names, references):
        parameters["known_speakers"] = known
    return parameters


def _parts(values: Sequence[str]) -> list[str]:
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def _set_diarize(
    parameters: dict[str, Any], fields: Fields, settings: ServerSettings, response_format: str
) -> None:
    """Whoever cannot see speakers does not pay for them."""
    loaded = settings.diarization_model is not None
    by_channel = parameters.get("channels") == "speakers"
    if response_format == "diarized_json" and not by_channel:
        if not loaded:
            raise invalid(
                "response_format",
                "'diarized_json' needs a diarization model; set DIARIZATION_MODEL on the server",
                "unavailable",
            )
        if parameters.get("diarize") is False:
            raise invalid("diarize", "false contradicts response_format: 'diarized_json'")
    if "diarize" in parameters or by_channel:
        return
    counts = any(f"{kind}_speakers" in parameters for kind in ("num", "min", "max", "known"))
    named = (fields.text("model") or "").endswith(DIARIZING_MODEL)
    if named and not loaded:
        fields.warn("model: no diarization model is loaded; speakers are not told apart")
    parameters["diarize"] = (
        counts or response_format in ("diarized_json", "rttm") or (named and loaded)
    )


def _granularities(fields: Fields) -> frozenset[str]:
    given = _parts(fields.lists.get("timestamp_granularities", []))
    for value in given:
        if value not in GRANULARITIES:
            raise invalid(
                "timestamp_granularities",
                f"{quoted(value)} is not one of {', '.join(GRANULARITIES)}",
            )
    return frozenset(given or ["segment"])


def _include(fields: Fields) -> frozenset[str]:
    given = _parts(fields.lists.get("include", []))
    for value in given:
        if value not in INCLUDES:
            fields.warn(f"include: {quoted(value, MAX_NAMED)} was ignored")
    return frozenset(given) & frozenset(INCLUDES)


def _check_chunking(fields: Fields) -> None:
    given = fields.text("chunking_strategy")
    if given is None or given == "auto":
        return
    try:
        strategy = json.loads(given)
    except (ValueError, RecursionError):
        strategy = None
    if not isinstance(strategy, Mapping) or strategy.get("type") != "server_vad":
        raise invalid(
            "chunking_strategy",
            f"expected 'auto' or an object of type 'server_vad' (got {quoted(given)})",
        )
    limits = {"prefix_padding_ms": 60_000, "silence_duration_ms": 60_000, "threshold": 1}
    for name, most in limits.items():
        try:
            number = float(strategy.get(name, 0))
        except (TypeError, ValueError, OverflowError):
            number = -1.0
        if not 0 <= number <= most:
            raise invalid("chunking_strategy", f"{name}: expected a number from 0 to {most}")
    fields.warn("chunking_strategy: its values had no effect; speech is cut at pauses")


def _warn_of_unread(
    fields: Fields, settings: ServerSettings, parameters: Mapping[str, Any]
) -> None:
    for name in fields.values:
        if name not in READ:
            fields.warn(f"{quoted(name, MAX_NAMED)}: unknown field; it was ignored")
    if fields.text("vad_filter"):
        fields.warn("vad_filter: it had no effect; silence is always left out")
    if fields.text("return_timestamps"):
        fields.warn("return_timestamps: it had no effect; see timestamp_granularities")
    if parameters.get("task") == "translate" and TURBO in settings.asr_model:
        fields.warn(f"task: {settings.asr_model} was not trained to translate")
