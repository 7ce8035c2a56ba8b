"""How many transcribers a service needs. Arithmetic only: the cluster's policy and the simulation
of docs/scale.md ask the same function."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

UTILISATION = 0.8
"""Of a replica's time that arrivals are to take: the rest is for chance."""
CATCH_UP_S = 120.0
"""In which what waits is worked through beside what arrives. Where it is much shorter than replicas
take to start (180 s), what it orders comes too late to be of use: a load that triples at once and
needs 30 gets 41 at 120 s, 55 at 60 s and 79 at 30 s (docs/scale.md)."""
RATE_WINDOW_S = 60.0


def replicas_for(arriving: float, queued_s: float, speed: float) -> int:
    """Enough to keep up with what arrives, and as many more as work through what waits.

    What arrives is known before a queue is: by the queue alone, nothing is seen until it is late,
    and a queue that has grown while replicas start orders many times what is needed.

    Args:
        arriving: audio that arrives, seconds a second.
        queued_s: audio that waits or is at work, seconds.
        speed: audio that one replica does, seconds a second.
    """
    busy = arriving / (UTILISATION * speed)
    return math.ceil(busy + queued_s / (CATCH_UP_S * speed))


@dataclass
class ArrivalRate:
    """Audio that arrives, in the mean of the last minute."""

    _arrived: deque[tuple[float, float]] = field(default_factory=deque)
    """(when, seconds of audio)."""
    _sum_s: float = 0.0

    def add(self, now_s: float, audio_s: float) -> None:
        """Count what has arrived; times do not go back."""
        self._arrived.append((now_s, audio_s))
        self._sum_s += audio_s

    def rate(self, now_s: float) -> float:
        """Seconds of audio a second. In the first minute it rises from nothing, as a measurement of
        a second or two would say anything."""
        while self._arrived and self._arrived[0][0] <= now_s - RATE_WINDOW_S:
            self._sum_s -= self._arrived.popleft()[1]
        if not self._arrived:
            self._sum_s = 0.0
        return self._sum_s / RATE_WINDOW_S
