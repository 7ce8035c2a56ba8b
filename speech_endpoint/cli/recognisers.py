"""Who transcribes: models in this process, or an endpoint elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from speech_endpoint.transcript import Transcript


class RecogniserError(RuntimeError):
    """A file could not be transcribed, and is not to blame; others may be."""


class GivenUp(RecogniserError):
    """The recogniser was closed; the file was not transcribed to its end, or not begun."""

    def __init__(self) -> None:
        super().__init__("given up")


@dataclass(frozen=True, slots=True)
class Advance:
    """How far a recording is."""

    done_s: float
    """Of it that is done."""
    duration_s: float | None
    """None: not known yet."""
    text: str = ""
    """What has become final since the last one."""


OnAdvance = Callable[[Advance], None]


def ignore(_: Advance) -> None:
    """For who wants the transcript alone."""


class Recogniser(Protocol):
    """Turns audio files into transcripts."""

    description: str
    """What makes the transcripts: outputs of another one are made again."""
    max_jobs: int
    """As many files as may be in work at once."""

    def transcribe(
        self, audio: bytes, parameters: Mapping[str, Any], on_advance: OnAdvance = ignore
    ) -> Transcript:
        """Transcribe one file. Called from several threads, at most `max_jobs` at once.

        Args:
            audio: the file.
            parameters: of the request.
            on_advance: told, from any thread, how far it is, where that is known.

        Raises:
            InvalidRequest: this file or these parameters cannot be served.
            OutOfMemory: the machine has not the memory for it.
            RecogniserError: it cannot be served now; see its subclasses.
        """
        ...

    def close(self) -> None:
        """Give up what is in work, whose `transcribe` raises `GivenUp`, and free what is held."""
        ...
