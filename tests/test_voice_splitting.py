"""Where a voice becomes another person's: with embeddings that can be told by hand."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import torch
from hypothesis import given

from speech_endpoint.diarization.change_detection import (
    LEAST_S,
    MOST_PARTS,
    Change,
    speaker_changes,
    split_voices,
)

FRAMES_PER_S = 50
WINDOW_FRAMES = 500


def means(statistics: torch.Tensor) -> torch.Tensor:
    """An embedding that is the mean of the frames."""
    return statistics[:, : statistics.shape[1] // 2]


def frames_of(people: list[int]) -> torch.Tensor:
    """(n, 8): a direction for each person, and a little noise."""
    noise = np.random.default_rng(0).standard_normal((len(people), 8)) * 0.1
    return torch.from_numpy((np.eye(8)[people] + noise).astype(np.float32))


def changes(people: list[int], talks: np.ndarray | None = None) -> list[Change]:
    alone = (
        torch.ones(len(people), 1)
        if talks is None
        else torch.from_numpy(talks.astype(np.float32))[:, None]
    )
    return speaker_changes(frames_of(people), alone, FRAMES_PER_S, means)[0]


def test_one_person_is_not_cut():
    assert changes([0] * WINDOW_FRAMES) == []


def test_the_cut_is_where_the_next_person_begins():
    assert [round(change.time, 3) for change in changes([0] * 220 + [1] * 280)] == [4.4]


def test_people_take_turns():
    found = changes([0] * 100 + [1] * 200 + [2] * 200)
    assert [round(change.time, 3) for change in found] == [2.0, 6.0]


def test_a_word_or_two_are_too_little_to_tell_who_it_is():
    short = int(LEAST_S * FRAMES_PER_S) - 20
    assert changes([1] * short + [0] * (WINDOW_FRAMES - short)) == []


def test_only_what_the_voice_says_alone_counts():
    talks = np.zeros(WINDOW_FRAMES)
    talks[:250] = 1
    assert changes([0] * 250 + [1] * 250, talks) == []


def test_no_more_parts_than_there_are_columns_for():
    assert len(changes([n // 50 % 8 for n in range(WINDOW_FRAMES)])) == MOST_PARTS - 1


cuts = st.lists(st.floats(0, 10), max_size=MOST_PARTS - 1).map(sorted)


@given(
    st.lists(st.lists(cuts, min_size=3, max_size=3), min_size=1, max_size=4),
    st.integers(0, 2**32 - 1),
)
def test_parts_are_the_voice_cut_in_time(times, seed):
    active = np.random.default_rng(seed).integers(0, 2, (len(times), 60, 3)).astype(np.float32)
    moments = np.arange(60) / 6
    found = [[[Change(time, 0.0) for time in voice] for voice in window] for window in times]
    split = split_voices(active, moments, found).reshape(len(times), 60, -1, 3)
    assert np.array_equal(split.sum(axis=2), active)
    for window, voice in np.ndindex(len(times), 3):
        moments_of_parts = np.concatenate(
            [np.flatnonzero(part) for part in split[window, :, :, voice].T]
        )
        assert (np.diff(moments_of_parts) > 0).all()


def test_a_cut_near_a_pause_is_made_in_the_pause():
    moments = np.arange(600) / 60
    active = np.ones((1, 600, 1), np.uint8)
    active[0, (moments >= 4.8) & (moments < 5.0)] = 0
    near, far = ([[[Change(time, 0.0)]]] for time in (4.5, 4.0))
    before_the_pause = split_voices(active, moments, near)[0, :, 0]
    assert np.array_equal(np.flatnonzero(before_the_pause), np.flatnonzero(moments < 4.8))
    assert np.array_equal(
        np.flatnonzero(split_voices(active, moments, far)[0, :, 0]), np.flatnonzero(moments < 4.0)
    )
