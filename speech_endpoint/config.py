"""Everything that can be set: the endpoint by its environment, a request by its parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from speech_endpoint.parameters import InferenceConfig

__all__ = ["InferenceConfig", "ModelSettings", "resolve_model"]


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
    """For gated models; `token` has it in plain text."""

    device: str = Field(default="auto", pattern=r"^(auto|(cpu|cuda|mps|xpu)(:\d+)?)$")
    """auto, cpu, cuda, cuda:1, …; auto: a GPU where there is one."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """auto: float16 on a GPU; on a CPU bfloat16 where it has instructions for it, else float32."""
    quantization: Literal["auto", "none", "int8"] = "auto"
    """int8 weights for the decoder's linear layers, on a CPU; auto: with bfloat16 on a CPU."""

    max_payload_mb: int = Field(default=512, ge=1)
    """Largest audio payload, decoded from base64, in MiB."""
    max_audio_s: float = Field(default=4 * 3600.0, gt=0)
    """Longest recording, seconds."""
    pyannote_metrics_enabled: bool = False
    """Whether pyannote.audio may report its usage to its makers."""

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
