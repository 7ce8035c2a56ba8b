"""Intervals, against sets of the grid cells that they cover."""

from __future__ import annotations

import itertools

import hypothesis.strategies as st
import pytest
from hypothesis import given

from speech_endpoint.intervals import Coverage, Interval, merge, simultaneous, subtract

pytestmark = pytest.mark.pure

# Small whole numbers: intervals often touch, overlap and contain one another, and sums are exact.
intervals = st.builds(
    lambda start, duration: Interval(start, start + duration),
    st.integers(0, 30),
    st.integers(1, 12),
)
ordered = st.lists(intervals, max_size=8).map(lambda some: sorted(some, key=lambda i: i.start))


def cells(some: list[Interval]) -> set[int]:
    """The unit cells that intervals cover."""
    return {cell for i in some for cell in range(int(i.start), int(i.end))}


@given(ordered)
def test_merged_intervals_cover_the_same_and_stay_apart(some: list[Interval]) -> None:
    merged = merge(some)
    assert cells(merged) == cells(some)
    assert all(a.end < b.start for a, b in itertools.pairwise(merged))


@given(ordered, st.integers(0, 5))
def test_merging_fills_the_gaps_up_to_a_length_and_no_others(
    some: list[Interval], max_gap_s: int
) -> None:
    gaps = [Interval(a.end, b.start) for a, b in itertools.pairwise(merge(some))]
    filled = cells([gap for gap in gaps if gap.duration_s <= max_gap_s])
    merged = merge(some, max_gap_s)
    assert cells(merged) == cells(some) | filled
    assert all(b.start - a.end > max_gap_s for a, b in itertools.pairwise(merged))


@given(ordered, st.lists(intervals, max_size=12), st.integers(1, 6))
def test_subtracting_leaves_the_long_enough_runs_that_no_span_covers(
    some: list[Interval], spans: list[Interval], min_s: int
) -> None:
    disjoint = merge(some)
    covered = cells(spans)
    runs: list[Interval] = []
    for interval in disjoint:
        left = [cell for cell in sorted(cells([interval])) if cell not in covered]
        runs += merge([Interval(cell, cell + 1) for cell in left])
    expected = [run for run in runs if run.duration_s >= min_s]
    assert subtract(disjoint, spans, min_s) == expected


def test_a_span_covers_what_lies_beyond_a_shorter_one_within_it() -> None:
    spans = [Interval(0, 10), Interval(1, 2)]
    assert subtract([Interval(5, 20)], spans, 1.0) == [Interval(10, 20)]


def test_speech_that_no_word_covers_is_left() -> None:
    words = [Interval(0, 3), Interval(2, 4), Interval(6, 7), Interval(19, 29.5)]
    speech = [Interval(0, 10), Interval(20, 30)]
    assert subtract(speech, words, 1.0) == [Interval(4, 6), Interval(7, 10)]


@given(st.lists(intervals, max_size=12), intervals)
def test_coverage_counts_the_seconds_that_any_interval_covers(
    some: list[Interval], span: Interval
) -> None:
    coverage = Coverage(some)
    assert coverage.covered_s(span.start, span.end) == len(cells(some) & cells([span]))


@given(st.lists(intervals, max_size=12), intervals)
def test_coverage_finds_the_nearest_interval(some: list[Interval], span: Interval) -> None:
    distances = [max(0, i.start - span.end, span.start - i.end) for i in some]
    assert Coverage(some).distance_s(span.start, span.end) == min(distances, default=float("inf"))


@given(st.lists(st.lists(intervals, max_size=6), max_size=4))
def test_simultaneous_intervals_are_those_that_two_or_more_cover(
    speakers: list[list[Interval]],
) -> None:
    found = simultaneous(Coverage(speaker) for speaker in speakers)
    covered = [cells(speaker) for speaker in speakers]
    assert cells(found) == {cell for a, b in itertools.combinations(covered, 2) for cell in a & b}
    assert all(a.end <= b.start for a, b in itertools.pairwise(found))
