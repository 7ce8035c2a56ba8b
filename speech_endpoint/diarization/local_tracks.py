"""Local speakers of chunks: their masks, and how their sub-tracks share pyannote's speaker axis.

A local speaker is one that the segmentation tells apart within a chunk. Change detection cuts it
into sub-tracks, each to be clustered by itself. pyannote knows one axis of speakers; on it,
`column = subtrack * n_speakers + speaker`, which these two functions alone know:

    (..., subtracks, speakers, ...)  --join_subtracks-->  (..., columns, ...)
    (..., columns, ...)  --split_columns-->  (..., subtracks, speakers, ...)
"""

from __future__ import annotations

import numpy as np


def join_subtracks(tracks: np.ndarray, axis: int) -> np.ndarray:
    """Merge the axes `axis` (sub-tracks) and `axis + 1` (local speakers) into one of columns."""
    shape = tracks.shape
    n_columns = shape[axis] * shape[axis + 1]
    return tracks.reshape(*shape[:axis], n_columns, *shape[axis + 2 :])


def split_columns(columns: np.ndarray, n_speakers: int, axis: int) -> np.ndarray:
    """Split the axis `axis` of columns into one of sub-tracks and one of `n_speakers`."""
    shape = columns.shape
    n_subtracks = shape[axis] // n_speakers
    return columns.reshape(*shape[:axis], n_subtracks, n_speakers, *shape[axis + 1 :])


def non_overlapped(active: np.ndarray) -> np.ndarray:
    """Silence the frames in which several local speakers are active.

    Args:
        active: (chunks, frames, speakers), 0 or 1.

    Returns:
        (chunks, frames, speakers): `active` where exactly one speaker is active, else 0.
    """
    return active * (active.sum(axis=2, keepdims=True) < 2)


def clean_segmentations(active: np.ndarray, min_frames: float) -> np.ndarray:
    """Choose the frames that each local speaker is embedded from, as pyannote does.

    Args:
        active: (chunks, frames, speakers), 0 or 1.
        min_frames: a speaker with more non-overlapped frames than this is embedded from these
            alone, any other one from all of its frames.

    Returns:
        (chunks, frames, speakers), 0 or 1.
    """
    clean = non_overlapped(active)
    return np.where(clean.sum(axis=1, keepdims=True) > min_frames, clean, active)


def resample(masks: np.ndarray, times: np.ndarray, new_times: np.ndarray) -> np.ndarray:
    """Give each new frame the mask of the frame nearest in time.

    Args:
        masks: (chunks, frames, speakers).
        times: (frames,), centres of the frames, evenly spaced.
        new_times: (new frames,), centres of the new frames.

    Returns:
        (chunks, new frames, speakers).
    """
    nearest = np.rint((new_times - times[0]) / (times[1] - times[0])).astype(int)
    return masks[:, np.clip(nearest, 0, len(times) - 1)]
