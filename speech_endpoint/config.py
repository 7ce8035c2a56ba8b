"""Everything that can be set: the endpoint by its environment, a request by its parameters."""

from __future__ import annotations

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
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from speech_endpoint.languages import language_code


class ModelSettings(BaseSettings):
    """The models and limits of an endpoint, read from environment variables of the same names.

    A model is a Hub name, or a directory: absolute, or relative to the repository.
    """

    model_config = SettingsConfigDict(
        protected_namespaces=(), extra="ignore", env_ignore_empty=True
    )

    asr_model: str = "openai/whisper-large-v3-turbo"
    assistant_model: str | None = None
    """A Whisper that drafts for `asr_model` when a request says `assisted`."""
    diarization_model: str | None = None
    """A pyannote.audio pipeline, e.g. pyannote/speaker-diarization-community-1."""
    hf_token: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("HF_TOKEN", "HF_HUB_TOKEN", "hf_token")
    )

    device: str = "auto"
    """auto, cpu, cuda, cuda:0, …"""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """auto: float16 on a GPU; on a CPU bfloat16 where it has instructions for it, else float32."""
    quantization: Literal["auto", "none", "int8"] = "auto"
    """int8 weights for the decoder's linear layers, on a CPU; auto: with bfloat16 on a CPU."""

    max_payload_mb: int = Field(default=512, ge=1)
    """Largest audio payload, decoded from base64, in MiB."""
    max_audio_s: float = Field(default=4 * 3600.0, gt=0)
    """Longest recording, seconds."""

    def local_or_hub(self, model: str, repository: str) -> str:
        """`model` as an absolute directory when it is one, relative to `repository`, else unchanged as a Hub name."""
        directory = Path(repository, model)
        return str(directory.resolve()) if directory.is_dir() else model


def _bool_from_query(value: Any) -> Any:
    """Query strings arrive as text: "true" and "false" mean what they say."""
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value


Flag = Annotated[bool, BeforeValidator(_bool_from_query)]


class InferenceConfig(BaseModel):
    """The `parameters` of one request."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    task: Literal["transcribe", "translate"] = "transcribe"
    batch_size: int = Field(default=24, ge=1)
    """Windows decoded together."""
    assisted: Flag = False
    chunk_length_s: float = Field(default=30.0, ge=1.0, le=30.0)
    """Longest window, seconds."""
    sampling_rate: int = Field(default=16_000, ge=1_000, le=384_000)
    """Rate of headerless PCM, Hz."""
    language: str | None = None
    num_speakers: int | None = Field(default=None, ge=1)
    min_speakers: int | None = Field(default=None, ge=1)
    max_speakers: int | None = Field(default=None, ge=1)
    return_timestamps: Annotated[
        Literal[True, False, "segment", "word"], BeforeValidator(_bool_from_query)
    ] = True
    diarize: Annotated[bool | None, BeforeValidator(_bool_from_query)] = None
    channels: Literal["mix", "speakers"] = "mix"
    """"speakers": each channel holds one speaker, as telephone systems record; nobody is guessed."""
    prompt: str | None = None
    response_format: Literal["json", "text", "srt", "vtt", "rttm"] = "json"

    @model_validator(mode="after")
    def _check_language(self) -> InferenceConfig:
        if self.language is not None:
            language_code(self.language)
        return self

    @model_validator(mode="after")
    def _check_speaker_counts(self) -> InferenceConfig:
        low, high, exact = self.min_speakers, self.max_speakers, self.num_speakers
        if low is not None and high is not None and low > high:
            raise ValueError(
                f"min_speakers: {low} is more than max_speakers: {high}; give min_speakers <= max_speakers"
            )
        if exact is not None and not (low or 1) <= exact <= (high or exact):
            raise ValueError(
                f"num_speakers: {exact} lies outside min_speakers: {low} to max_speakers: {high}"
            )
        return self

    @model_validator(mode="after")
    def _check_channels(self) -> InferenceConfig:
        if self.channels == "speakers":
            for name in ("num_speakers", "min_speakers", "max_speakers"):
                if getattr(self, name) is not None:
                    raise ValueError(
                        f"{name}: not with channels: 'speakers', where the channels are the speakers"
                    )
            if self.diarize is False:
                raise ValueError(
                    "diarize: false contradicts channels: 'speakers'; leave one of them out"
                )
        return self

    @classmethod
    def from_parameters(cls, parameters: Any) -> tuple[InferenceConfig, list[str]]:
        """Validate a request's `parameters`: the configuration, and a warning for each name that is not known.

        Raises:
            ValueError: naming each field that is wrong, what was given and what is allowed.
        """
        if parameters is None:
            parameters = {}
        if not isinstance(parameters, dict):
            raise ValueError(f"parameters: expected an object, got {type(parameters).__name__}")
        unknown = [str(name)[:80] for name in parameters if name not in cls.model_fields]
        try:
            config = cls.model_validate(
                {key: value for key, value in parameters.items() if key in cls.model_fields}
            )
        except ValidationError as error:
            raise ValueError("; ".join(_describe(problem) for problem in error.errors())) from None
        return config, [f"parameters: unknown parameter {name!r} was ignored" for name in unknown]


def _describe(problem: Any) -> str:
    message = str(problem["msg"]).removeprefix("Value error, ")
    if not problem["loc"]:
        return message
    given = repr(problem["input"])
    return f"parameters.{problem['loc'][0]}: {message} (got {given if len(given) <= 80 else given[:80] + '…'})"
