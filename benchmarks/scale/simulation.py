"""A day of a service of many replicas, a second a step. Pure, deterministic, in whole numbers.

Audio is counted in milliseconds. All replicas draw from one queue, as they nearly do behind an
ingress that knows how much each has; a recording is cut into windows, so that work is a fluid. A
newcomer that would wait longer than the limit is refused, as `service/backlog.py` does it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

DAY_S = 86_400
MAX_WAIT_S = 120
"""The server's `MAX_WAIT_S`."""
SHARES = (
    0.30, 0.24, 0.20, 0.18, 0.20, 0.28, 0.45, 0.75, 1.20, 1.60, 1.80, 1.75,
    1.55, 1.60, 1.75, 1.80, 1.65, 1.45, 1.25, 1.10, 0.95, 0.80, 0.60, 0.42,
)  # fmt: skip
"""Of each hour's beginning, in the mean of the day: office hours of one part of the world."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a controller can know at a second."""

    second: int
    n_replicas: int
    """Ready ones."""
    n_starting: int
    queue_ms: int
    """Audio that waits."""
    arrived_ms: int
    """In the last second, and was not refused."""
    work_ms: int
    """That all ready replicas can do in a second."""


class Controller(Protocol):
    """Says how many replicas there are to be, ready and starting ones together."""

    def wanted(self, seen: Seen) -> int: ...


@dataclass(frozen=True, slots=True)
class Day:
    """What became of the audio of a day, or of another time; milliseconds of it, but for what says
    otherwise.
    """

    duration_s: int
    arrived_ms: int
    served_ms: int
    refused_ms: int
    waiting_ms: int
    """Still, at the end."""
    replica_s: int
    """Paid for: starting ones are."""
    n_max: int
    waits_s: tuple[float, ...]
    """Of who arrives in each second and is not refused."""

    @property
    def refused_share(self) -> float:
        return self.refused_ms / max(1, self.arrived_ms)

    def wait_s(self, share: float) -> float:
        """No more than so long waits the given share of the seconds."""
        return sorted(self.waits_s)[min(len(self.waits_s) - 1, int(share * len(self.waits_s)))]

    def usd_per_audio_hour(self, usd_per_replica_hour: float) -> float:
        """Of what was served."""
        return self.replica_s * usd_per_replica_hour / max(1e-9, self.served_ms / 1000)


@dataclass
class _Fleet:
    """Replicas that are ready, and those that start."""

    n_ready: int
    start_s: int
    starting: deque[tuple[int, int]] = field(default_factory=deque)
    """(second at which they are ready, how many)."""

    @property
    def n_starting(self) -> int:
        return sum(n for _, n in self.starting)

    def become(self, wanted: int, second: int) -> None:
        """Start what lacks; end what is too much, the starting ones first."""
        change = wanted - self.n_ready - self.n_starting
        if change > 0:
            self.starting.append((second + self.start_s, change))
        while change < 0 and self.starting:
            at, n = self.starting.pop()
            if n + change > 0:
                self.starting.append((at, n + change))
            change = min(0, n + change)
        self.n_ready += change if change < 0 else 0
        while self.starting and self.starting[0][0] <= second:
            self.n_ready += self.starting.popleft()[1]


def simulate(
    arrivals_ms: Sequence[int],
    speed: float,
    controller: Controller,
    *,
    start_s: int,
    n_at_first: int,
    max_wait_s: int = MAX_WAIT_S,
) -> Day:
    """Serve what arrives.

    Args:
        arrivals_ms: audio that arrives in each second.
        speed: seconds of audio that a replica does in one.
        controller: how many replicas there are to be.
        start_s: from wanting a replica to its first request: a machine, the image, the models.
        n_at_first: replicas that are ready at the beginning.
        max_wait_s: who would wait longer is refused.
    """
    fleet = _Fleet(n_at_first, start_s)
    each_ms = round(speed * 1000)
    queue = served = refused = replica_s = n_max = 0
    waits_s: list[float] = []
    for second, arrived in enumerate(arrivals_ms):
        work = fleet.n_ready * each_ms
        admitted = min(arrived, max(0, max_wait_s * work - queue))
        if admitted:
            waits_s.append(queue / work)
        refused += arrived - admitted
        done = min(queue + admitted, work)
        queue += admitted - done
        served += done
        n_paid = fleet.n_ready + fleet.n_starting
        replica_s, n_max = replica_s + n_paid, max(n_max, n_paid)
        seen = Seen(second, fleet.n_ready, fleet.n_starting, queue, admitted, work)
        fleet.become(controller.wanted(seen), second)
    waits = tuple(waits_s) or (0.0,)
    arrived_ms = sum(arrivals_ms)
    return Day(len(arrivals_ms), arrived_ms, served, refused, queue, replica_s, n_max, waits)


def day_of_arrivals(hours: float, clip_s: float, seed: int = 1) -> list[int]:
    """Audio that arrives in each second of a day, ms: clips of one length, at random by `SHARES`.

    Args:
        hours: of audio, in the mean of many days.
        clip_s: seconds of audio a request.
        seed: of the draw: the same day for the same seed.
    """
    at = np.arange(DAY_S) / 3600
    hourly = np.interp(at, np.arange(25), (*SHARES, SHARES[0]))
    mean = hours * 3600 / clip_s * hourly / hourly.sum()
    counts = np.random.default_rng(seed).poisson(mean)
    return [int(n) * round(clip_s * 1000) for n in counts]


def threefold_arrivals(mean_s: float, clip_s: float, seed: int = 1) -> list[int]:
    """An hour of a steady load, half an hour of three times as much, an hour of it again, ms.

    Args:
        mean_s: of audio a second.
        clip_s: of audio a request.
        seed: of the draw.
    """
    mean = np.repeat([1.0, 3.0, 1.0], [3600, 1800, 3600]) * mean_s / clip_s
    counts = np.random.default_rng(seed).poisson(mean)
    return [int(n) * round(clip_s * 1000) for n in counts]


def replicas_at_peak(hours: float, speed: float, utilisation: float = 0.8) -> int:
    """As many as the busiest hour needs, with room for chance."""
    peak = hours / 24 * max(SHARES) / (sum(SHARES) / len(SHARES))
    return max(1, math.ceil(peak / speed / utilisation))
