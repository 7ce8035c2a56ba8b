"""Who transcribes a block's recordings, as workers see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from speech_endpoint.archive.tables import Outcome
from speech_endpoint.config import ModelSettings


class Recogniser(Protocol):
    """Transcribes several recordings at once. Lives in a process of its own."""

    def transcribe(self, recordings: Mapping[str, bytes]) -> dict[str, Outcome]:
        """What became of each, by name.

        Args:
            recordings: the files' bytes, by name.

        Raises:
            EngineFailed: nothing is known of any.
        """
        ...


def load_models(
    settings: ModelSettings, parameters: Mapping[str, Any], repository: str
) -> Recogniser:
    """See `ResidentRecogniser`."""
    # Only here: the driver, which calls it nowhere, needs no PyTorch.
    from speech_endpoint.archive.resident import ResidentRecogniser

    return ResidentRecogniser(settings, parameters, repository)
