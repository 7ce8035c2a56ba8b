"""What the service says about a job while it works on it, and how it refuses one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal, Protocol

from speech_endpoint.reception import Request
from speech_endpoint.transcript import Segment, Transcript


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is. The first comes when it is admitted."""

    done_s: float
    """Of the recording, from its beginning: all before it is final."""
    duration_s: float | None
    """Of the recording; None before its audio is decoded."""
    queue_s: float
    """Estimated seconds until the job's first window is decoded."""


@dataclass(frozen=True, slots=True)
class Segments:
    """Segments that have become final, in order of time; no speaker yet."""

    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """The whole answer: the last event of a job that succeeds."""

    transcript: Transcript


@dataclass(frozen=True, slots=True)
class Failed:
    """The last event of a job that does not succeed.

    `error` is an `InvalidRequest` where the caller is to blame, `OutOfMemory`, `Unavailable` where
    the service shuts down, `DeadlineExceeded`, or whatever went wrong in here.
    """

    error: BaseException


Event = Progress | Segments | Done | Failed
Stage = Literal["loading", "warming_up", "ready", "draining", "failed"]


class Overloaded(RuntimeError):
    """Refused before any work was done: the wait would be too long."""

    def __init__(self, message: str, retry_after_s: float, reason: str = "queue_full") -> None:
        super().__init__(message)
        self.retry_after_s, self.reason = retry_after_s, reason


class Unavailable(RuntimeError):
    """Refused, or given up, because models load or the process is about to end."""

    def __init__(
        self, message: str, retry_after_s: float, reason: Literal["loading", "draining"]
    ) -> None:
        super().__init__(message)
        self.retry_after_s, self.reason = retry_after_s, reason


class DeadlineExceeded(RuntimeError):
    """The job took longer than any may."""


class Job(Protocol):
    """A request that was admitted."""

    def events(self) -> AsyncIterator[Event]:
        """Its events, to the last; may be iterated once, in the loop that submitted it."""
        ...

    def cancel(self) -> None:
        """Nobody waits for it any more: its slots are free within a step. Idempotent; safe at any
        time and from any thread; `events` then ends."""
        ...


@dataclass(frozen=True, slots=True)
class EngineTotals:
    """What the engine has done since it began, for all callers; counts never fall."""

    windows: int = 0
    steps: int = 0
    row_steps: int = 0
    """Steps times the windows in them."""
    tokens: int = 0
    draft_tokens: int = 0
    """Compared with the model's own."""
    draft_tokens_accepted: int = 0
    window_retries: int = 0
    """At a higher temperature."""
    encoder_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """A snapshot for probes and metrics; taking it never waits for the engine."""

    stage: Stage
    detail: str
    """What is loaded, or why loading failed; no secret."""
    heartbeat_age_s: float
    """Since the engine last began or ended a unit of work, or had none."""
    jobs_running: int
    jobs_waiting: int
    queued_audio_s: float
    """Speech of all jobs that is not decoded yet."""
    estimated_wait_s: float
    """Until a job that is submitted now has its first window decoded."""
    batch_rows: int
    """Windows that are being decoded."""
    batch_slots: int
    audio_bytes: int = 0
    """Of decoded audio, which is held."""
    totals: EngineTotals = EngineTotals()
    compares_voices: bool = True
    """Whether known speakers can be found; taken for true until a diarization model is loaded."""


class Service(Protocol):
    """What protocols (HTTP, a cluster's ingress) are written against."""

    def admit(self) -> None:
        """Raise what `submit` would raise now, before a body is read.

        Raises:
            Overloaded: the wait would be too long.
            Unavailable: loading or draining.
        """
        ...

    def submit(self, request: Request, request_id: str) -> Job:
        """Let a request join the others.

        Args:
            request: checked parameters, and the audio file's bytes.
            request_id: for logs.

        Raises:
            InvalidRequest: what the loaded models cannot do.
            Overloaded: the wait would be too long.
            Unavailable: loading or draining.
        """
        ...

    def status(self) -> ServiceStatus:
        """How the service is."""
        ...
