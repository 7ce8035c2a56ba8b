"""How much is waiting, how fast it goes, and who is refused. Arithmetic only."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

from speech_endpoint.service.events import Overloaded

SPEED_MEMORY_S = 60.0
"""Of work: what was measured longer ago hardly counts."""
LONGEST_RETRY_S = 120.0
"""Beyond it, clients give up instead of waiting."""
# Before a file is decoded nobody knows how long it is; half a minute of speech a MB is usual.
GUESSED_BYTES_PER_S = 16_000
WINDOW_S = 30.0
MIN_SPEED = 0.05


@dataclass(frozen=True, slots=True)
class ServiceLimits:
    """How much a service takes on."""

    max_wait_s: float = 120.0
    """Longest estimated wait; who would wait longer is refused."""
    max_requests: int = 64
    """At work or waiting."""
    audio_memory_mb: int = 2048
    """For decoded audio, MiB: a file waits undecoded while others hold as much."""
    max_slots: int = 24
    """Windows decoded together; fewer where memory is short."""


class Backlog:
    """The audio of all jobs that is not decoded yet. May be used from any thread."""

    def __init__(self, limits: ServiceLimits) -> None:
        self.limits = limits
        self._lock = threading.Lock()
        self._left_s: dict[object, float] = {}
        self._work_s = self._done_s = 0.0
        """Both fade with the work that is done since."""

    @property
    def queued_s(self) -> float:
        """Seconds of audio that all jobs have left."""
        with self._lock:
            return sum(self._left_s.values())

    @property
    def speed(self) -> float:
        """Seconds of audio a second, lately."""
        with self._lock:
            return max(MIN_SPEED, self._done_s / self._work_s) if self._work_s else MIN_SPEED

    def wait_s(self, payload_bytes: int = 0) -> float:
        """How much later a newcomer is done for the others: callers take turns, so that of each
        other one no more is done meanwhile than of the newcomer.

        Args:
            payload_bytes: of the newcomer; what is short at least counts as a window.
        """
        own_s = max(WINDOW_S, payload_bytes / GUESSED_BYTES_PER_S)
        with self._lock:
            before_s = sum(min(left_s, own_s) for left_s in self._left_s.values())
        return before_s / self.speed

    def check(self, payload_bytes: int = 0) -> None:
        """
        Args:
            payload_bytes: of the newcomer, where it is known.

        Raises:
            Overloaded: one more would have to wait too long, or there are too many. Whoever finds
                nobody waiting is admitted, however long it takes.
        """
        with self._lock:
            n_jobs = len(self._left_s)
        wait_s, limits = self.wait_s(payload_bytes), self.limits
        if n_jobs and wait_s > limits.max_wait_s:
            raise Overloaded(
                f"the estimated wait is {wait_s:.0f} s, the longest allowed {limits.max_wait_s:g}"
                " s; try again later",
                _retry_after_s(wait_s - limits.max_wait_s / 2),
            )
        if n_jobs >= limits.max_requests:
            raise Overloaded(
                f"{n_jobs} requests are at work or waiting, as many as are allowed; try again"
                " later",
                _retry_after_s(wait_s / n_jobs),
            )

    def add(self, job: object, payload_bytes: int) -> None:
        """Count a job whose audio is not decoded yet."""
        with self._lock:
            self._left_s[job] = payload_bytes / GUESSED_BYTES_PER_S

    def update(self, job: object, left_s: float) -> None:
        """Correct what a job has left; one that is over stays so."""
        with self._lock:
            if job in self._left_s:
                self._left_s[job] = left_s

    def remove(self, job: object) -> None:
        """A job is over."""
        with self._lock:
            self._left_s.pop(job, None)

    def measure(self, audio_s: float, work_s: float) -> None:
        """Learn from work that was done, and what it took."""
        fade = math.exp(-work_s / SPEED_MEMORY_S)
        with self._lock:
            self._done_s = self._done_s * fade + audio_s
            self._work_s = self._work_s * fade + work_s


def _retry_after_s(seconds: float) -> float:
    return float(math.ceil(min(max(seconds, 1.0), LONGEST_RETRY_S)))
