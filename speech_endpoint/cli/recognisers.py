"""Who transcribes: models in this process, or an endpoint elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from speech_endpoint.transcript import Transcript


class Recogniser(Protocol):
    """Turns audio files into transcripts."""

    description: str
    """What makes the transcripts: outputs of another one are made again."""
    max_jobs: int
    """As many files as may be in work at once."""

    def transcribe(self, audio: bytes, parameters: Mapping[str, Any]) -> Transcript:
        """Transcribe one file. Called from several threads, at most `max_jobs` at once.

        Raises:
            InvalidRequest: this file or these parameters cannot be served.
            EndpointError: nothing can be served; see its subclasses.
        """
        ...

    def close(self) -> None:
        """Give up what is in work, and free what is held."""
        ...
