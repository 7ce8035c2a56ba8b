"""Who decides how many replicas there are. Each keeps what it has seen; one for one day."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from benchmarks.scale.simulation import Seen
from speech_endpoint.cluster.demand import ArrivalRate, replicas_for

UTILISATION = 0.8


@dataclass(frozen=True, slots=True)
class Fixed:
    """Always as many."""

    n: int

    def wanted(self, seen: Seen) -> int:
        """As `Controller.wanted`."""
        return self.n


@dataclass
class ByQueuedAudio:
    """By audio that is not done yet alone: so many replicas that each has its share.

    Up at once, down when less was enough for some minutes, as Ray Serve's delays have it.
    """

    clip_ms: int
    at_once: int
    """Requests that a replica has at work when it is busy: those of its batch."""
    share_s: float = 600.0
    """Of audio, a replica."""
    down_delay_s: int = 600
    _least: deque[int] = field(init=False)

    def __post_init__(self) -> None:
        self._least = deque(maxlen=self.down_delay_s)

    def wanted(self, seen: Seen) -> int:
        """As `Controller.wanted`."""
        at_work_ms = _busy(seen) * seen.n_replicas * self.at_once * self.clip_ms
        n = math.ceil((seen.queue_ms + at_work_ms) / (self.share_s * 1000))
        return _down_later(self._least, n, seen)


@dataclass
class ByAudio:
    """The cluster's own, by what arrives and what is not done yet. Delays as above."""

    clip_ms: int
    at_once: int
    speed: float
    """Seconds of audio a second that one replica does."""
    down_delay_s: int = 600
    _arrivals: ArrivalRate = field(default_factory=ArrivalRate)
    _least: deque[int] = field(init=False)

    def __post_init__(self) -> None:
        self._least = deque(maxlen=self.down_delay_s)

    def wanted(self, seen: Seen) -> int:
        """As `Controller.wanted`."""
        self._arrivals.add(seen.second, seen.arrived_ms / 1000)
        at_work_ms = _busy(seen) * seen.n_replicas * self.at_once * self.clip_ms
        queued_s = (seen.queue_ms + at_work_ms) / 1000
        n = replicas_for(self._arrivals.rate(seen.second), queued_s, self.speed)
        return _down_later(self._least, n, seen)


@dataclass
class Endpoints:
    """Inference Endpoints' own, by pending requests.

    Once a minute one replica more where over the last 20 s more requests than the threshold are
    pending for each; every two minutes one less where as many would do without it, not within 300 s
    of the last. (Their documentation, Autoscaling.) Pending are those that wait and those that are
    at work.
    """

    clip_ms: int
    at_once: int
    """Requests that a replica has at work when it is busy: those of its batch."""
    threshold: float
    n_max: int
    _pending: deque[float] = field(default_factory=lambda: deque(maxlen=20))
    _down_at: int = -300

    def wanted(self, seen: Seen) -> int:
        """As `Controller.wanted`."""
        at_work = _busy(seen) * seen.n_replicas * self.at_once
        self._pending.append(seen.queue_ms / self.clip_ms + at_work)
        pending = sum(self._pending) / len(self._pending)
        n = seen.n_replicas + seen.n_starting
        if seen.second % 60 == 0 and pending > self.threshold * n:
            return min(self.n_max, n + 1)
        is_time = seen.second % 120 == 0 and seen.second - self._down_at >= 300
        if is_time and n > 1 and pending <= self.threshold * (n - 1) * UTILISATION:
            self._down_at = seen.second
            return n - 1
        return n


def _down_later(least: deque[int], n: int, seen: Seen) -> int:
    """Up at once; down to what was enough all the time that the deque covers."""
    least.append(max(1, n))
    is_known = len(least) == least.maxlen
    return max(least) if is_known else max(*least, seen.n_replicas)


def _busy(seen: Seen) -> float:
    """The share of the work that could be done that is."""
    return min(1.0, (seen.queue_ms + seen.arrived_ms) / seen.work_ms) if seen.work_ms else 0.0
