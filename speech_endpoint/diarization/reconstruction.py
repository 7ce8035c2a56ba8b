"""From chunks to the recording: who is active in each frame, by a vote of overlapping chunks."""

from __future__ import annotations

import numpy as np
from pyannote.core import SlidingWindowFeature
from scipy.ndimage import uniform_filter1d

# Segmentation frames that a chunk's votes are averaged over: 0.15 s; 0.12 to 0.5 s give the same
# words.
SMOOTHING_FRAMES = 9


def reconstruct(
    segmentations: SlidingWindowFeature, hard_clusters: np.ndarray, count: SlidingWindowFeature
) -> SlidingWindowFeature:
    """Find the speakers of each frame: as many as `count` says, those with the most votes.

    Where chunks disagree about a border, neighbouring frames would alternate between two speakers,
    and cut a word into pieces: votes are smoothed over SMOOTHING_FRAMES.

    Args:
        segmentations: (chunks, frames, columns), 0 or 1.
        hard_clusters: (chunks, columns), the speaker of each column; negative for nobody.
        count: (frames of the recording, 1), how many speakers are active.

    Returns:
        (frames of the recording, speakers), 0 or 1.
    """
    # As in pyannote: where more speak at once than there are clusters, an unknown speaker is added.
    n_speakers = max(hard_clusters.max() + 1, count.data.max())
    votes = _votes(segmentations, hard_clusters, count, n_speakers)
    discrete = np.zeros(votes.shape, np.uint8)
    all_frames = np.arange(len(votes))
    for rank in range(count.data.max()):
        winners = votes.argmax(axis=1)
        discrete[all_frames, winners] = rank < count.data[:, 0]
        votes[all_frames, winners] = -1
    return SlidingWindowFeature(discrete, count.sliding_window)


def _votes(
    segmentations: SlidingWindowFeature,
    hard_clusters: np.ndarray,
    count: SlidingWindowFeature,
    n_speakers: int,
) -> np.ndarray:
    """(frames of the recording, speakers), float32: the sum of the chunks' smoothed votes."""
    frames = count.sliding_window
    votes = np.zeros((len(count.data), n_speakers), np.float32)
    for clusters, (chunk, segmentation) in zip(hard_clusters, segmentations, strict=True):
        active = np.stack(
            [segmentation[:, clusters == speaker].any(axis=1) for speaker in range(n_speakers)],
            axis=1,
        )
        first = frames.closest_frame(chunk.start + frames.duration / 2)
        smoothed = uniform_filter1d(active.astype(float), SMOOTHING_FRAMES, axis=0, mode="nearest")
        votes[first : first + len(smoothed)] += smoothed
    return votes
