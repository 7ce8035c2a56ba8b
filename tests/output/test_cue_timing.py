"""When cues come and go. Milliseconds."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_endpoint.output.cue_timing import MAX_SHIFT_MS, MIN_SHOWN_MS, Spoken, place

pytestmark = pytest.mark.pure

spoken = st.builds(
    lambda start, length, needed: Spoken(start, start + length, needed),
    st.integers(0, 20_000),
    st.integers(0, 9_000),
    st.integers(833, 4_200),
)
in_order = st.lists(spoken, max_size=12).map(lambda cues: sorted(cues, key=lambda cue: cue.start))


@given(in_order, st.integers(0, 30_000))
def test_cues_follow_each_other_and_none_flickers(cues: list[Spoken], end: int):
    placed = place(cues, 7_000, end)
    assert all(MIN_SHOWN_MS <= end - start <= 7_000 for start, end in placed)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(placed))


@given(in_order, st.integers(30_000, 40_000))
def test_a_cue_comes_with_its_words_unless_many_come_at_once(cues: list[Spoken], end: int):
    for cue, (start, _) in zip(cues, place(cues, 7_000, end), strict=True):
        assert start >= cue.start - MAX_SHIFT_MS
    spread = [Spoken(2_000 * n, 2_000 * n + 500, cue.needed) for n, cue in enumerate(cues)]
    for cue, (start, _) in zip(spread, place(spread, 7_000, end), strict=True):
        assert abs(start - cue.start) <= MAX_SHIFT_MS


def test_a_cue_with_time_enough_comes_and_goes_as_it_is_said():
    assert place([Spoken(1_000, 3_000, 1_500)], 7_000, 60_000) == [(1_000, 3_000)]


def test_silence_before_a_cue_is_taken_before_the_next_ones_time():
    hurried, following = Spoken(5_000, 5_300, 833), Spoken(5_600, 9_000, 2_000)
    (start, end), (next_start, _) = place([hurried, following], 7_000, 60_000)
    assert (start, end, next_start) == (4_767, 5_600, 5_600)


def test_a_cue_gets_no_more_than_its_share_of_a_time_too_short_for_two():
    first, second, third = Spoken(0, 500, 1_000), Spoken(100, 600, 1_000), Spoken(600, 9_000, 900)
    (_, end), (start, _), _ = place([first, second, third], 7_000, 60_000)
    assert 300 <= end == start <= 350
