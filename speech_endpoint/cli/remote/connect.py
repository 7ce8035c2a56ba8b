"""Where a run's recordings are transcribed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr
from pydantic_settings import BaseSettings

from speech_endpoint.cli.recognisers import Recogniser
from speech_endpoint.config import ModelSettings


class Keys(BaseSettings):
    """Keys for endpoints, from the environment: on a command line everybody could read them."""

    speech_api_key: SecretStr | None = None

    @property
    def key(self) -> str | None:
        """The server's own key, else the Hub's token."""
        own = self.speech_api_key
        return own.get_secret_value() if own else ModelSettings().token


@dataclass(frozen=True, slots=True)
class Place:
    """An endpoint, or this machine."""

    endpoint: str | None
    """Its URL; None: here."""
    openai: bool
    """Whether it speaks OpenAI's audio API only."""
    jobs: int
    """Recordings in work at once."""

    def identity(self) -> dict[str, Any]:
        """What tells its transcripts from those of other places."""
        if self.endpoint is not None:
            return {"endpoint": self.endpoint}
        settings = ModelSettings()
        names = ("asr_model", "diarization_model", "dtype", "quantization")
        return {name: getattr(settings, name) for name in names}

    def connect(self) -> Recogniser:
        """Whoever transcribes there; models are loaded only here and only now.

        Raises:
            InvalidSettings, ModelUnavailable: models cannot be loaded.
        """
        if self.endpoint is None:
            from speech_endpoint.cli.local import LocalRecogniser

            return LocalRecogniser(ModelSettings(), self.jobs)
        from speech_endpoint.cli.remote.remote import HostEndpoint, OpenAIEndpoint

        kind = OpenAIEndpoint if self.openai else HostEndpoint
        return kind(self.endpoint, Keys().key, self.jobs)
