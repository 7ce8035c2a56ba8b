"""Masks of local speakers, and their sub-tracks on one axis."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from speech_endpoint.diarization.local_tracks import (
    clean_segmentations,
    join_subtracks,
    non_overlapped,
    resample,
    split_columns,
)

pytestmark = pytest.mark.pure

masks = arrays(np.uint8, st.tuples(*[st.integers(1, 6)] * 3), elements=st.integers(0, 1))
tracks = arrays(np.uint8, st.tuples(*[st.integers(1, 5)] * 4))


@given(tracks)
def test_columns_can_be_split_again(array):
    columns = join_subtracks(array, axis=2)
    np.testing.assert_array_equal(split_columns(columns, array.shape[3], axis=2), array)


@given(tracks)
def test_the_columns_of_first_subtracks_come_first(array):
    columns = join_subtracks(array, axis=2)
    np.testing.assert_array_equal(columns[:, :, : array.shape[3]], array[:, :, 0])


@given(masks)
def test_non_overlapped_frames_have_at_most_one_speaker(active):
    alone = non_overlapped(active)
    overlap = active.sum(axis=2) > 1
    assert (alone[overlap] == 0).all()
    np.testing.assert_array_equal(alone[~overlap], active[~overlap])


def test_speakers_with_too_little_non_overlapped_speech_keep_all_of_theirs():
    active = np.array([[[1, 0], [1, 0], [1, 0], [1, 1], [0, 1]]], np.uint8)
    clean = clean_segmentations(active, min_frames=1)
    np.testing.assert_array_equal(clean[0, :, 0], [1, 1, 1, 0, 0])
    np.testing.assert_array_equal(clean[0, :, 1], [0, 0, 0, 1, 1])


def test_resampled_masks_keep_their_borders_in_time():
    times = 0.01 + np.arange(100) * 0.02
    active = (times > 1.0).astype(np.uint8)[None, :, None]
    new_times = np.arange(60) / 30
    resampled = resample(active, times, new_times)[0, :, 0]
    np.testing.assert_array_equal(
        resampled[abs(new_times - 1.0) > 0.01], new_times[abs(new_times - 1.0) > 0.01] > 1.0
    )
