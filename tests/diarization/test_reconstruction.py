"""Who is active in each frame of a recording, by the chunks' votes."""

from __future__ import annotations

import numpy as np
import pytest
from pyannote.core import SlidingWindow, SlidingWindowFeature

from speech_endpoint.diarization.reconstruction import reconstruct

pytestmark = pytest.mark.pure

FRAMES = SlidingWindow(start=0, duration=0.02, step=0.02)
CHUNKS = SlidingWindow(start=0, duration=10, step=1)


@pytest.mark.parametrize("clusters", [[0, 1, 2], [0, -2, -2], [-2, -2, -2]])
def test_as_many_speakers_are_active_as_are_counted(clusters):
    """Unknown ones, where fewer were told apart."""
    random = np.random.default_rng(0)
    segmentations = SlidingWindowFeature(random.integers(0, 2, (4, 500, 3)), CHUNKS)
    counts = random.integers(0, 3, (650, 1)).astype(np.uint8)
    discrete = reconstruct(
        segmentations, np.tile(clusters, (4, 1)), SlidingWindowFeature(counts, FRAMES)
    )
    np.testing.assert_array_equal(discrete.data.sum(axis=1), counts[:, 0])


def test_the_speaker_of_a_frame_is_the_cluster_of_the_active_column():
    segmentations = SlidingWindowFeature(np.tile([1, 0, 0], (1, 500, 1)), CHUNKS)
    one = SlidingWindowFeature(np.ones((500, 1), np.uint8), FRAMES)
    discrete = reconstruct(segmentations, np.array([[1, 0, 2]]), one)
    assert (discrete.data == [0, 1, 0]).all()


def test_neighbouring_frames_do_not_alternate_where_chunks_disagree():
    """Two chunks that disagree in every other frame about who speaks."""
    active = np.zeros((2, 500, 2), np.uint8)
    active[0, :, 0] = 1
    active[1, ::2, 0] = active[1, 1::2, 1] = 1
    segmentations = SlidingWindowFeature(active, CHUNKS)
    one = SlidingWindowFeature(np.ones((550, 1), np.uint8), FRAMES)
    discrete = reconstruct(segmentations, np.array([[0, 1], [0, 1]]), one)
    assert (np.diff(discrete.data[50:500, 0].astype(int)) == 0).all()
