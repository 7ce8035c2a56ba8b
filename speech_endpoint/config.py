"""Everything that can be set: the endpoint by its environment, a request by its parameters."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from speech_endpoint.environment import INFINITY, describe_setting, is_unset, unquoted
from speech_endpoint.errors import InvalidRequest, InvalidSettings
from speech_endpoint.languages import language_code

MAX_QUOTE_CHARACTERS = 80
"""An error quotes no more than this of what was given."""


class ModelSettings(BaseSettings):
    """The models and limits of an endpoint, read from environment variables of the same names.

    A model is a Hub name, or a directory: absolute, or relative to the repository. Values are taken
    as consoles and .env files hand them over: blanks and one pair of quotes around them are
    removed, and nothing, "none" and "null" leave a setting at its default.
    """

    model_config = SettingsConfigDict(
        protected_namespaces=(), extra="ignore", hide_input_in_errors=True
    )

    asr_model: str = "openai/whisper-large-v3-turbo"
    assistant_model: str | None = None
    """A Whisper that drafts for `asr_model` when a request says `assisted`."""
    diarization_model: str | None = None
    """A pyannote.audio pipeline, e.g. pyannote/speaker-diarization-community-1."""
    hf_token: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("HF_TOKEN", "HF_HUB_TOKEN", "hf_token")
    )
    """For gated models; `token` has it in plain text."""

    device: str = Field(default="auto", pattern=r"^(auto|(cpu|cuda|mps|xpu)(:\d+)?)$")
    """auto, cpu, cuda, cuda:1, …; auto: a GPU where there is one."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """auto: float16 on a GPU; on a CPU bfloat16 where it has instructions for it, else float32."""
    quantization: Literal["auto", "none", "int8"] = "auto"
    """int8 weights for the decoder's linear layers, on a CPU; auto: with bfloat16 on a CPU."""

    max_payload_mb: int = Field(default=512, ge=1)
    """Largest audio payload, decoded from base64, in MiB; inf: any."""
    max_audio_s: float = Field(default=4 * 3600.0, gt=0)
    """Longest recording, seconds; inf: any."""
    cuda_visible_devices: str | None = None
    """CUDA's own variable; where it hides all GPUs, `device` auto is the CPU."""
    pyannote_metrics_enabled: bool = False
    """Whether pyannote.audio may report its usage to its makers."""

    def __init__(self, **values: Any) -> None:
        """
        Raises:
            InvalidSettings: naming each variable that is wrong, and what is allowed.
        """
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InvalidSettings("; ".join(map(describe_setting, error.errors()))) from None

    @model_validator(mode="before")
    @classmethod
    def _clean(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        cleaned = {
            name: unquoted(value) if isinstance(value, str) else value
            for name, value in given.items()
        }
        return {
            name: value
            for name, value in cleaned.items()
            if not (isinstance(value, str) and is_unset(name, value))
        }

    @field_validator("device", "dtype", "quantization", mode="before")
    @classmethod
    def _in_small_letters(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @field_validator("max_payload_mb", mode="before")
    @classmethod
    def _infinite_payload(cls, value: Any) -> Any:
        is_infinite = isinstance(value, str) and value.lower() in INFINITY
        return sys.maxsize >> 20 if is_infinite else value

    @field_validator("max_audio_s")
    @classmethod
    def _limit(cls, limit_s: float) -> float:
        # NaN is below and above nothing: it would be no limit at all.
        if math.isnan(limit_s):
            raise ValueError("expected a number above 0")
        return limit_s

    @model_validator(mode="after")
    def _hidden_gpus(self) -> ModelSettings:
        if self.device == "auto" and self.cuda_visible_devices in ("", "-1"):
            self.device = "cpu"
        return self

    @field_validator("hf_token")
    @classmethod
    def _characters(cls, token: SecretStr | None) -> SecretStr | None:
        # HTTP libraries refuse others in a header, and quote the header in the log.
        if token is not None and not re.fullmatch(r"[!-~]+", token.get_secret_value()):
            raise ValueError(
                "holds a blank, a line break or another character that no token has; copy it again"
                " from huggingface.co/settings/tokens"
            )
        return token

    @property
    def token(self) -> str | None:
        """The Hub token in plain text, for those who download models; show it to nobody."""
        return self.hf_token.get_secret_value() if self.hf_token else None


def resolve_model(model: str, repository: str) -> str:
    """The absolute path of `model` where it is a directory, else the Hub name unchanged.

    Args:
        model: a Hub name, or a directory: absolute, or relative to `repository`.
        repository: the directory that holds the endpoint's code.
    """
    directory = Path(repository, model)
    return str(directory.resolve()) if directory.is_dir() else model


def _boolean_from_query(value: Any) -> Any:
    """Read the booleans of a query string, which are text: pydantic does so for a `bool` alone."""
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value


class InferenceConfig(BaseModel):
    """The `parameters` of one request.

    A validator sees only the fields above its own, so those that others are checked against come
    first.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    task: Literal["transcribe", "translate"] = "transcribe"
    batch_size: int = Field(default=24, ge=1)
    """Windows decoded together."""
    assisted: bool = False
    """Whether the assistant model drafts."""
    chunk_length_s: float = Field(default=30.0, ge=1.0, le=30.0)
    """Longest window, seconds."""
    sampling_rate: int = Field(default=16_000, ge=1_000, le=384_000)
    """Rate of headerless PCM, Hz."""
    language: str | None = None
    """A code ("en"), whatever name of the language was given; None: detected."""
    channels: Literal["mix", "speakers"] = "mix"
    """"speakers": each channel holds one speaker, as telephone systems record; no diarization."""
    audio_track: int | None = Field(default=None, ge=0, le=63)
    """Which of a file's audio tracks, from 0; None: the first that is not silent."""
    max_speakers: int | None = Field(default=None, ge=1)
    min_speakers: int | None = Field(default=None, ge=1)
    num_speakers: int | None = Field(default=None, ge=1)
    return_timestamps: Annotated[
        Literal[True, False, "segment", "word"], BeforeValidator(_boolean_from_query)
    ] = True
    diarize: bool | None = None
    """None: where the endpoint can."""
    prompt: str | None = None
    """Text that steers spelling and names."""
    response_format: Literal["json", "text", "srt", "vtt", "rttm"] = "json"

    @field_validator("language")
    @classmethod
    def _to_code(cls, language: str | None) -> str | None:
        return None if language is None else language_code(language)

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
        unknown = [
            str(name)[:MAX_QUOTE_CHARACTERS] for name in parameters if name not in cls.model_fields
        ]
        try:
            config = cls.model_validate(known)
        except ValidationError as error:
            (field, code, message), *others = map(_describe, error.errors())
            more = [f"{other_field}: {other_message}" for other_field, _, other_message in others]
            raise InvalidRequest(field, code, "; ".join([message, *more])) from None
        return config, [f"parameters: unknown parameter {name!r} was ignored" for name in unknown]


def _describe(problem: ErrorDetails) -> tuple[str, str, str]:
    """The field, code and message of `InvalidRequest` for one of pydantic's errors."""
    field = f"parameters.{problem['loc'][0]}"
    if problem["type"] == "value_error":
        # Of a validator above: it has said what was given.
        return field, "invalid_value", str(problem["ctx"]["error"])
    is_type = problem["type"].endswith(("_type", "_parsing", "_from_float"))
    given = repr(problem["input"])
    if len(given) > MAX_QUOTE_CHARACTERS:
        given = given[:MAX_QUOTE_CHARACTERS] + "…"
    code = "invalid_type" if is_type else "invalid_value"
    return field, code, f"{problem['msg']} (got {given})"
