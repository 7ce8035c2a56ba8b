"""What a person says about the endpoint that they want."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Diarization = Literal["none", "bundle", "community"]
Access = Literal["private", "authenticated", "public"]

COMMUNITY_PIPELINE = "pyannote/speaker-diarization-community-1"
BUNDLE = "models/speaker-diarization"
"""In the repository: made by `make models`, loaded without a token."""

# The image's server listens there: ports below 1024 are not everywhere open to who is not root.
IMAGE_PORT = 8000
IMAGE_HEALTH_ROUTE = "/ready"
IMAGE_REPOSITORY = "/repository"
"""Where the host puts the repository for an image of one's own."""


@dataclass(frozen=True, slots=True)
class Wish:
    """An endpoint, in the words of the command line."""

    name: str
    model: str
    assistant: str | None = None
    diarize: Diarization = "none"
    access: Access = "private"
    image: str | None = None
    """A container image; None: the host's own, with handler.py."""
    instance: str | None = None
    """None: what there is already, else the cheapest that fits."""
    repository: str | None = None
    """None: NAMESPACE/NAME."""
    namespace: str | None = None
    """None: the token's owner."""

    def hub_models(self) -> dict[str, str]:
        """The models that the endpoint downloads, by the variable that names each."""
        models = {"ASR_MODEL": self.model}
        if self.assistant:
            models["ASSISTANT_MODEL"] = self.assistant
        if self.diarize == "community":
            models["DIARIZATION_MODEL"] = COMMUNITY_PIPELINE
        return models

    def environment(self) -> dict[str, str]:
        """The endpoint's variables; nothing in them is secret."""
        env = self.hub_models()
        if self.diarize == "bundle":
            env["DIARIZATION_MODEL"] = f"{IMAGE_REPOSITORY}/{BUNDLE}" if self.image else BUNDLE
        if self.image:
            # The host's proxy asks for the callers' tokens, unless the endpoint is public.
            env |= {"HOST": "0.0.0.0", "PORT": str(IMAGE_PORT), "ALLOW_ANYONE": "1"}
        return env


MANAGED_VARIABLES = frozenset(
    {"ASR_MODEL", "ASSISTANT_MODEL", "DIARIZATION_MODEL", "HOST", "PORT", "ALLOW_ANYONE"}
)
"""Those that a deployment sets or removes; others that an endpoint has are left alone."""
