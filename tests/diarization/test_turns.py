"""Turns as people would mark them."""

from __future__ import annotations

import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from speech_endpoint.diarization.turns import (
    MAX_ISLAND_S,
    MAX_PAUSE_S,
    drop_islands,
    fill_pauses,
    make_exclusive,
)
from speech_endpoint.intervals import Coverage, Interval, simultaneous
from speech_endpoint.transcript import SpeakerTurn

pytestmark = pytest.mark.pure

turns_of_speakers = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 200), st.integers(1, 30)), max_size=20
).map(
    lambda found: sorted(
        (SpeakerTurn(who, start / 10, (start + length) / 10) for who, start, length in found),
        key=lambda turn: (turn.start, turn.end),
    )
)


def turns(*found: tuple[str, float, float]) -> tuple[SpeakerTurn, ...]:
    return tuple(SpeakerTurn(*one) for one in found)


def crosstalk_s(found: tuple[SpeakerTurn, ...]) -> float:
    """How long several talk at once."""
    coverages = [
        Coverage([Interval(t.start, t.end) for t in found if t.speaker == speaker])
        for speaker in {t.speaker for t in found}
    ]
    return sum(interval.duration_s for interval in simultaneous(coverages))


def test_a_turn_goes_on_over_a_breath():
    assert fill_pauses(turns(("a", 0, 2), ("a", 2.5, 4))) == turns(("a", 0, 4))


def test_a_turn_ends_where_somebody_answers_within_the_pause():
    found = turns(("a", 0, 2), ("b", 2.1, 2.4), ("a", 2.5, 4))
    assert fill_pauses(found) == found


def test_a_long_pause_ends_a_turn():
    found = turns(("a", 0, 2), ("a", 2.1 + MAX_PAUSE_S, 4))
    assert fill_pauses(found) == found


@given(turns_of_speakers)
def test_filled_turns_cover_what_they_did_and_overlap_no_more(found):
    filled = fill_pauses(found)
    for turn in found:
        assert any(
            other.speaker == turn.speaker and other.start <= turn.start and turn.end <= other.end
            for other in filled
        )
    assert crosstalk_s(filled) == pytest.approx(crosstalk_s(tuple(found)))
    assert list(filled) == sorted(filled, key=lambda turn: (turn.start, turn.end))


def test_a_third_voice_where_one_takes_over_from_another_is_no_turn():
    found = turns(("a", 0, 2), ("c", 2, 2.3), ("b", 2.3, 5))
    assert drop_islands(found) == (found[0], found[2])


@pytest.mark.parametrize(
    "found",
    [
        turns(("a", 0, 2), ("c", 2.3, 2.6), ("b", 2.9, 5)),
        turns(("a", 0, 2), ("c", 2, 2 + MAX_ISLAND_S), ("b", 2 + MAX_ISLAND_S, 5)),
        turns(("a", 0, 2), ("c", 2, 2.3)),
        turns(("c", 0, 0.3), ("a", 0.3, 2)),
        (),
    ],
)
def test_whoever_is_set_off_or_talks_for_longer_keeps_the_turn(found):
    assert drop_islands(found) == found


@given(turns_of_speakers)
def test_no_speaker_with_a_long_turn_is_lost(found):
    exclusive = make_exclusive(tuple(found))
    kept = drop_islands(exclusive)
    assert set(kept) <= set(exclusive)
    assert all(turn in kept for turn in exclusive if turn.end - turn.start >= MAX_ISLAND_S)
    assert all(first.end <= second.start for first, second in itertools.pairwise(kept))


def test_an_interruption_has_the_floor_and_gives_it_back():
    turns = (SpeakerTurn("a", 0.0, 4.0), SpeakerTurn("b", 1.0, 2.0))
    assert make_exclusive(turns) == (
        SpeakerTurn("a", 0.0, 1.0),
        SpeakerTurn("b", 1.0, 2.0),
        SpeakerTurn("a", 2.0, 4.0),
    )


@given(turns_of_speakers)
def test_exclusive_turns_give_every_moment_of_speech_to_one_who_speaks(turns):
    exclusive = make_exclusive(tuple(turns))
    for moment in np.arange(0.05, 24):
        active = {turn.speaker for turn in turns if turn.start < moment < turn.end}
        chosen = [turn.speaker for turn in exclusive if turn.start < moment < turn.end]
        assert len(chosen) == bool(active)
        assert set(chosen) <= active
