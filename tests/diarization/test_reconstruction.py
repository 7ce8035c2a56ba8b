"""Who is active in each frame of a recording, by the chunks' votes."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from pyannote.audio import Inference
from pyannote.audio.utils.signal import Binarize
from pyannote.core import SlidingWindow, SlidingWindowFeature

from speech_endpoint.diarization.reconstruction import (
    FrameGrid,
    add_votes,
    count_speakers,
    most_voted,
    turns_of,
)

pytestmark = pytest.mark.pure

GRID = FrameGrid(chunk_s=10.0, hop_s=1.0, frame_s=0.02, field_s=0.02)
# segmentation-3.0's.
REAL_GRID = FrameGrid(chunk_s=10.0, hop_s=1.0, frame_s=270 / 16_000, field_s=991 / 16_000)
CHUNKS = SlidingWindow(start=0.0, duration=10.0, step=1.0)


def active_and_first(
    tracks: np.ndarray, clusters: np.ndarray, count: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    votes = np.zeros((len(count), max(clusters.max() + 1, count.max())), np.float32)
    add_votes(votes, tracks, clusters, 0, GRID)
    return most_voted(votes, count)


@pytest.mark.parametrize("clusters", [[0, 1, 2], [0, -2, -2], [-2, -2, -2]])
def test_as_many_speakers_are_active_as_are_counted(clusters):
    """Unknown ones, where fewer were told apart."""
    random = np.random.default_rng(0)
    tracks = random.integers(0, 2, (4, 500, 3))
    count = random.integers(0, 3, 651).astype(np.uint8)
    active, first = active_and_first(tracks, np.tile(clusters, (4, 1)), count)
    np.testing.assert_array_equal(active.sum(axis=1), count)
    np.testing.assert_array_equal(first.sum(axis=1), np.minimum(count, 1))
    assert not (first & ~active).any()


def test_the_speaker_of_a_frame_is_the_cluster_of_the_active_column():
    tracks = np.tile([1, 0, 0], (1, 500, 1))
    active, _ = active_and_first(tracks, np.array([[1, 0, 2]]), np.ones(501, np.uint8))
    assert (active[:500] == [False, True, False]).all()


def test_neighbouring_frames_do_not_alternate_where_chunks_disagree():
    """Two chunks that disagree in every other frame about who speaks."""
    tracks = np.zeros((2, 500, 2), np.uint8)
    tracks[0, :, 0] = 1
    tracks[1, ::2, 0] = tracks[1, 1::2, 1] = 1
    one = np.ones(551, np.uint8)
    active, _ = active_and_first(tracks, np.array([[0, 1], [0, 1]]), one)
    assert (np.diff(active[50:500, 0].astype(int)) == 0).all()


@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_speakers_are_counted_as_pyannote_counts_them(n_chunks, seed):
    tracks = np.random.default_rng(seed).integers(0, 2, (n_chunks, 589, 3)).astype(np.uint8)
    field = SlidingWindow(start=0.0, duration=REAL_GRID.field_s, step=REAL_GRID.frame_s)
    n_active = SlidingWindowFeature(tracks.sum(axis=2, keepdims=True), CHUNKS)
    expected = Inference.aggregate(n_active, field, missing=0.0)
    counted = count_speakers(tracks, REAL_GRID)
    np.testing.assert_array_equal(counted, np.rint(expected.data[:, 0]))


@given(st.lists(st.booleans(), min_size=2, max_size=30))
def test_turns_begin_and_end_where_those_of_pyannote_do(active):
    field = SlidingWindow(start=0.0, duration=REAL_GRID.field_s, step=REAL_GRID.frame_s)
    feature = SlidingWindowFeature(np.array(active, np.uint8)[:, None], field)
    expected = [(each.start, each.end) for each in Binarize()(feature).itersegments()]
    turns = turns_of("a", np.array(active), REAL_GRID.times(len(active)))
    assert [(turn.start, turn.end) for turn in turns] == expected
