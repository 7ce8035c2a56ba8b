"""Intervals of time: what they cover, what they leave out. Pure; all times are seconds."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True, slots=True)
class Interval:
    """From `start` to `end`, seconds."""

    start: float
    end: float

    @property
    def duration_s(self) -> float:
        return self.end - self.start


def merge(intervals: Iterable[Interval], max_gap_s: float = 0.0) -> list[Interval]:
    """Join the intervals that are no further apart than `max_gap_s`.

    Args:
        intervals: in order of their starts; they may overlap.
        max_gap_s: 0 joins only intervals that touch or overlap.
    """
    merged: list[Interval] = []
    for interval in intervals:
        if merged and interval.start - merged[-1].end <= max_gap_s:
            merged[-1] = Interval(merged[-1].start, max(merged[-1].end, interval.end))
        else:
            merged.append(interval)
    return merged


def subtract(
    intervals: Sequence[Interval], spans: Iterable[Interval], min_s: float
) -> list[Interval]:
    """The parts of `intervals` that no span covers.

    Args:
        intervals: in order, not overlapping.
        spans: in any order; they may overlap.
        min_s: shorter parts are left out; more than 0.
    """
    covers = merge(sorted(spans, key=lambda span: span.start))
    starts, ends = [cover.start for cover in covers], [cover.end for cover in covers]
    gaps: list[Interval] = []
    for interval in intervals:
        at = interval.start
        for cover in covers[bisect_right(ends, at) : bisect_left(starts, interval.end)]:
            if cover.start - at >= min_s:
                gaps.append(Interval(at, cover.start))
            at = cover.end
        if interval.end - at >= min_s:
            gaps.append(Interval(at, interval.end))
    return gaps


class Coverage:
    """The time that a set of intervals covers; every question is answered by binary search."""

    def __init__(self, intervals: Iterable[Interval]) -> None:
        self.intervals = merge(sorted(intervals, key=lambda interval: interval.start))
        self._starts = [interval.start for interval in self.intervals]
        self._ends = [interval.end for interval in self.intervals]
        self._covered_s = [0.0, *accumulate(i.duration_s for i in self.intervals)]

    def covered_s(self, start: float, end: float) -> float:
        """Seconds between `start` and `end` that the intervals cover."""
        return max(0.0, self._covered_until(end) - self._covered_until(start))

    def distance_s(self, start: float, end: float) -> float:
        """Seconds from [start, end] to the nearest interval: 0 if they touch, inf without any."""
        n = bisect_right(self._starts, start)
        after = self._starts[n] - end if n < len(self._starts) else float("inf")
        before = start - self._ends[n - 1] if n else float("inf")
        return max(0.0, min(after, before))

    def _covered_until(self, time: float) -> float:
        n = bisect_right(self._starts, time)
        return self._covered_s[n] - max(0.0, self._ends[n - 1] - time) if n else 0.0


def simultaneous(coverages: Iterable[Coverage]) -> list[Interval]:
    """The intervals in which two or more of `coverages` cover the time."""
    events: list[tuple[float, int]] = []
    for coverage in coverages:
        for interval in coverage.intervals:
            events += [(interval.start, 1), (interval.end, -1)]
    found: list[Interval] = []
    n_active, since = 0, 0.0
    for time, change in sorted(events):
        if n_active >= 2 and time > since:
            found.append(Interval(since, time))
        n_active, since = n_active + change, time
    return found
