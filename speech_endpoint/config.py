"""Everything that can be set: the endpoint by its environment, a request by its parameters."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from speech_endpoint.environment import INFINITY, describe_setting, is_unset, unquoted
from speech_endpoint.errors import InvalidSettings
from speech_endpoint.parameters import InferenceConfig

__all__ = ["InferenceConfig", "ModelSettings", "resolve_model"]


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
    disable_speaker_id: bool = False
    """Tell speakers apart, and recognise nobody: requests that name voices are refused."""
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
