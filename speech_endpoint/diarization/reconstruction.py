"""From chunks to the recording: who is active in each frame, by a vote of overlapping chunks.

The frames are pyannote's: their times, and how many speakers are counted in each, are the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter1d

from speech_endpoint.transcript import SpeakerTurn

# Segmentation frames that a chunk's votes are averaged over: 0.15 s; 0.12 to 0.5 s give the same
# words.
SMOOTHING_FRAMES = 9


@dataclass(frozen=True, slots=True)
class FrameGrid:
    """The frames of a recording, and which of them each chunk has."""

    chunk_s: float
    """Length of a chunk; the first begins at 0."""
    hop_s: float
    """From the start of one chunk to the start of the next."""
    frame_s: float
    """From the start of one frame to the start of the next."""
    field_s: float
    """How much of the recording a frame sees."""

    def first_frame(self, chunk: int) -> int:
        """The frame of the recording that is a chunk's first."""
        return round(chunk * self.hop_s / self.frame_s)

    def n_frames(self, n_chunks: int) -> int:
        """How many frames a recording of so many chunks has."""
        return round((self.chunk_s + (n_chunks - 1) * self.hop_s) / self.frame_s) + 1

    def times(self, n_frames: int) -> np.ndarray:
        """(n_frames,), the middle of each frame, seconds."""
        starts = np.arange(n_frames) * self.frame_s
        return 0.5 * (starts + (starts + self.field_s))


def count_speakers(tracks: np.ndarray, grid: FrameGrid) -> np.ndarray:
    """Count who is active in each frame: the mean of the chunks that have it.

    Args:
        tracks: (chunks, frames, columns), 0 or 1.
        grid: of the frames.

    Returns:
        (frames of the recording,), uint8.
    """
    n_active = tracks.sum(axis=2, dtype=np.uint8)
    total = np.zeros(grid.n_frames(len(tracks)), np.float32)
    n_chunks = np.zeros_like(total)
    for chunk, of_chunk in enumerate(n_active):
        frames = slice(grid.first_frame(chunk), grid.first_frame(chunk) + len(of_chunk))
        total[frames] += of_chunk
        n_chunks[frames] += 1
    return np.rint(total / np.maximum(n_chunks, 1)).astype(np.uint8)


def add_votes(
    votes: np.ndarray, tracks: np.ndarray, clusters: np.ndarray, first_chunk: int, grid: FrameGrid
) -> None:
    """Add the votes of some chunks for who is active.

    Where chunks disagree about a border, neighbouring frames would alternate between two speakers,
    and cut a word into pieces: votes are smoothed over SMOOTHING_FRAMES.

    Args:
        votes: (frames of the recording, speakers), float32: those so far.
        tracks: (chunks, frames, columns), 0 or 1.
        clusters: (chunks, columns), the speaker of each column; negative for nobody.
        first_chunk: the number of the first of these chunks.
        grid: of the frames.
    """
    of_speaker = clusters[:, None, :, None] == np.arange(votes.shape[1])
    active = (tracks[..., None].astype(bool) & of_speaker).any(axis=2)
    smoothed = uniform_filter1d(active.astype(float), SMOOTHING_FRAMES, axis=1, mode="nearest")
    for chunk, of_chunk in enumerate(smoothed, start=first_chunk):
        first = grid.first_frame(chunk)
        votes[first : first + len(of_chunk)] += of_chunk


def most_voted(votes: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the speakers of each frame: as many as are counted, those with the most votes.

    Args:
        votes: (frames, speakers); its values are lost.
        count: (frames,).

    Returns:
        (frames, speakers), whether a speaker is active, and whether as the one with the most votes.
    """
    active, first = np.zeros(votes.shape, bool), np.zeros(votes.shape, bool)
    all_frames = np.arange(len(votes))
    for rank in range(count.max()):
        winners = votes.argmax(axis=1)
        active[all_frames, winners] = rank < count
        if rank == 0:
            first = active.copy()
        votes[all_frames, winners] = -1
    return active, first


def turns_of(speaker: str, active: np.ndarray, times: np.ndarray) -> list[SpeakerTurn]:
    """The turns of a speaker, each from the middle of a frame to that of the next silent one.

    Args:
        speaker: the name.
        active: (frames,), whether the speaker is active.
        times: (frames,), seconds.
    """
    edges = np.flatnonzero(np.diff(active, prepend=False, append=False))
    starts, ends = times[edges[::2]], times[np.minimum(edges[1::2], len(times) - 1)]
    return [
        SpeakerTurn(speaker, float(start), float(end))
        for start, end in zip(starts, ends, strict=True)
        if start < end
    ]
