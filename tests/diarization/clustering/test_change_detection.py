"""Where a local speaker becomes another speaker: with embeddings that can be told by hand."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given

from speech_endpoint.diarization.clustering.change_detection import (
    MAX_SUBTRACKS,
    MIN_SIDE_S,
    SpeakerChange,
    detect_changes,
    split_at_changes,
)
from speech_endpoint.units import finish

pytestmark = pytest.mark.pure

FRAMES_PER_S = 50
CHUNK_FRAMES = 500
HOP = 50


def means(statistics: torch.Tensor) -> torch.Tensor:
    """An embedding that is the mean of the frames."""
    return statistics[:, : statistics.shape[1] // 2]


def features_of(speakers: list[int]) -> torch.Tensor:
    """(n, 8): a direction for each speaker, and a little noise."""
    noise = np.random.default_rng(0).standard_normal((len(speakers), 8)) * 0.1
    return torch.from_numpy((np.eye(8)[speakers] + noise).astype(np.float32))


def change_times(speakers: list[int], non_overlapped: np.ndarray | None = None) -> list[float]:
    mask = np.ones(len(speakers)) if non_overlapped is None else non_overlapped
    features, masks = features_of(speakers), mask.astype(np.uint8)[None, :, None]
    ((changes,),) = finish(
        detect_changes(features, torch.zeros(8), masks, HOP, FRAMES_PER_S, means)
    )
    return [round(change.time_s, 3) for change in changes]


def test_one_speaker_is_not_cut():
    assert change_times([0] * CHUNK_FRAMES) == []


def test_the_cut_is_where_the_next_speaker_begins():
    assert change_times([0] * 220 + [1] * 280) == [4.4]


def test_every_change_of_speaker_is_found():
    assert change_times([0] * 100 + [1] * 200 + [2] * 200) == [2.0, 6.0]


def test_a_word_or_two_are_too_little_to_tell_who_it_is():
    short = int(MIN_SIDE_S * FRAMES_PER_S) - 20
    assert change_times([1] * short + [0] * (CHUNK_FRAMES - short)) == []


def test_only_non_overlapped_frames_count():
    non_overlapped = np.zeros(CHUNK_FRAMES)
    non_overlapped[:250] = 1
    assert change_times([0] * 250 + [1] * 250, non_overlapped) == []


def test_there_are_no_more_changes_than_subtracks_can_hold():
    assert len(change_times([n // 50 % 8 for n in range(CHUNK_FRAMES)])) == MAX_SUBTRACKS - 1


def test_a_change_is_found_in_every_chunk_that_has_it_inside():
    speakers = [0] * 300 + [1] * 300
    features = features_of(speakers)
    mask = np.ones((3, CHUNK_FRAMES, 1), np.uint8)
    # The third chunk reaches beyond the recording.
    mask[2, CHUNK_FRAMES:] = 0
    chunks = finish(detect_changes(features, torch.zeros(8), mask, HOP, FRAMES_PER_S, means))
    assert [[round(change.time_s, 3) for change in chunk[0]] for chunk in chunks] == [
        [6.0],
        [5.0],
        [4.0],
    ]


cuts = st.lists(st.floats(0, 10), max_size=MAX_SUBTRACKS - 1).map(sorted)


@given(
    st.lists(st.lists(cuts, min_size=3, max_size=3), min_size=1, max_size=4),
    st.integers(0, 2**32 - 1),
)
def test_subtracks_are_the_local_speaker_cut_in_time(cut_times, seed):
    active = np.random.default_rng(seed).integers(0, 2, (len(cut_times), 60, 3)).astype(np.float32)
    times = np.arange(60) / 6
    changes = [
        [[SpeakerChange(time, 0.0) for time in speaker] for speaker in chunk] for chunk in cut_times
    ]
    tracks = split_at_changes(active, times, changes)
    assert tracks.shape == (len(cut_times), 60, MAX_SUBTRACKS, 3)
    assert np.array_equal(tracks.sum(axis=2), active)
    for chunk, speaker in np.ndindex(len(cut_times), 3):
        frames_of_subtracks = np.concatenate(
            [np.flatnonzero(subtrack) for subtrack in tracks[chunk, :, :, speaker].T]
        )
        assert (np.diff(frames_of_subtracks) > 0).all()


@pytest.mark.parametrize(("change_s", "cut_s"), [(4.5, 4.8), (4.0, 4.0)])
def test_a_cut_near_a_pause_is_made_in_the_pause(change_s, cut_s):
    times = np.arange(600) / 60
    active = np.ones((1, 600, 1), np.uint8)
    active[0, (times >= 4.8) & (times < 5.0)] = 0
    tracks = split_at_changes(active, times, [[[SpeakerChange(change_s, 0.0)]]])
    assert np.array_equal(np.flatnonzero(tracks[0, :, 0, 0]), np.flatnonzero(times < cut_s))
