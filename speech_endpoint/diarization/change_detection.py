"""Speaker change detection: local speakers who are several speakers, cut where one follows another.

Segmentation tells apart speakers who talk at the same time, but often takes two similar readers or
callers, one after the other, for one local speaker. Where the embeddings of what a local speaker
says before and after a moment differ, somebody else has begun: change detection as in Chen and
Gopalakrishnan, "Speaker, environment and channel change detection and clustering via the Bayesian
information criterion" (1998), with the cosine of embeddings as its measure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, pad

from speech_endpoint.diarization.campplus import mean_and_deviation
from speech_endpoint.diarization.units import Units
from speech_endpoint.hardware import map_on_threads

# A local speaker is cut where both sides are less similar than this. From 0.42 to 0.5 the words of
# the conversations are given alike; below, readers who resemble each other are not told apart.
SAME_SPEAKER_SIMILARITY = 0.42
# Less speech than this on either side does not identify anybody; 0.6 to 1 s give the same answers.
MIN_SIDE_S = 0.8
# Cuts are searched for on a grid; 0.1 to 0.4 s give the same answers.
GRID_S = 0.2
# Speakers change at pauses: a cut is moved into the nearest pause within this distance.
MAX_PAUSE_DISTANCE_S = 0.5
MIN_PAUSE_S = 0.1
# More speakers than this in one local speaker of one chunk (10 s) are not told apart.
MAX_SUBTRACKS = 3

CHUNKS_PER_UNIT = 128

Embed = Callable[[Tensor], Tensor]
"""(n, 2 * channels), means and standard deviations of frame features -> (n, dimension)."""


@dataclass(frozen=True, slots=True)
class SpeakerChange:
    """Another speaker begins, `time_s` seconds into the chunk."""

    time_s: float
    similarity: float
    """Cosine of the embeddings of both sides."""


def detect_changes(
    features: Tensor,
    offset: Tensor,
    non_overlapped: np.ndarray,
    hop: int,
    frames_per_s: int,
    embed: Embed,
) -> Units[list[list[list[SpeakerChange]]]]:
    """Find where the local speakers of every chunk become other speakers; chunks run in parallel.

    Args:
        features: (frames, channels), frame features of the section that the chunks lie in.
        offset: (channels,), their mean.
        non_overlapped: (chunks, frames per chunk, speakers), 1 where only this local speaker is
            active; chunk n begins at frame n * `hop`.
        hop: frames from the start of one chunk to the start of the next.
        frames_per_s: rate of the frames.
        embed: turns pooled features less `offset` into embeddings.

    Returns:
        For each chunk, for each local speaker, its changes, as `speaker_changes` finds them.
    """
    size = non_overlapped.shape[1]

    @torch.inference_mode()
    def changes_in(chunk: int) -> list[list[SpeakerChange]]:
        centred = features[chunk * hop :][:size].float() - offset
        centred = pad(centred, (0, 0, 0, size - len(centred)))
        mask = torch.from_numpy(non_overlapped[chunk]).to(centred)
        return speaker_changes(centred, mask, frames_per_s, embed)

    changes = []
    for first in range(0, len(non_overlapped), CHUNKS_PER_UNIT):
        unit = range(first, min(first + CHUNKS_PER_UNIT, len(non_overlapped)))
        changes += map_on_threads(changes_in, unit, features.device)
        yield
    return changes


def speaker_changes(
    features: Tensor, non_overlapped: Tensor, frames_per_s: int, embed: Embed
) -> list[list[SpeakerChange]]:
    """Find where each local speaker of a chunk becomes another speaker.

    Args:
        features: (frames, channels), float32, frame features with means near zero; a whole number
            of grid steps.
        non_overlapped: (frames, speakers), 1 where only this local speaker is active.
        frames_per_s: rate of the frames.
        embed: turns pooled features into embeddings.

    Returns:
        For each local speaker its changes in order of time, at most MAX_SUBTRACKS - 1.
    """
    sides = _GridStatistics(features, non_overlapped, round(GRID_S * frames_per_s))
    min_frames = MIN_SIDE_S * frames_per_s

    def changes_between(first: int, last: int, speaker: int) -> list[SpeakerChange]:
        """Cut at the least similar grid point, then search both sides again."""
        cuts = sides.possible_cuts(first, last, speaker, min_frames)
        if not len(cuts):
            return []
        starts, ends = torch.full_like(cuts, first), torch.full_like(cuts, last)
        spans = torch.cat([starts, cuts]), torch.cat([cuts, ends])
        before, after = embed(sides.pooled(*spans, speaker)).chunk(2)
        similarity, index = cosine_similarity(before, after).min(dim=0)
        if similarity >= SAME_SPEAKER_SIMILARITY:
            return []
        cut = int(cuts[index])
        return [
            *changes_between(first, cut, speaker),
            SpeakerChange(cut * GRID_S, float(similarity)),
            *changes_between(cut, last, speaker),
        ]

    return [
        _strongest(changes_between(0, sides.n_steps, speaker))
        for speaker in range(non_overlapped.shape[1])
    ]


class _GridStatistics:
    """Cumulative sums on the grid: statistics of any span of grid steps by two look-ups."""

    def __init__(self, features: Tensor, non_overlapped: Tensor, step_frames: int) -> None:
        steps = features.unflatten(0, (-1, step_frames))
        active = non_overlapped.unflatten(0, (-1, step_frames))
        self.n_steps = len(steps)
        self._counts = _cumulative(active.sum(dim=1))
        self._sums = _cumulative(active.mT @ steps)
        self._squares = _cumulative(active.mT @ steps.square())

    def possible_cuts(self, first: int, last: int, speaker: int, min_frames: float) -> Tensor:
        """Grid points in `first` to `last` with at least `min_frames` of speech on either side."""
        counts = self._counts[first : last + 1, speaker]
        enough = (counts - counts[0] >= min_frames) & (counts[-1] - counts >= min_frames)
        return first + torch.nonzero(enough).flatten()

    def pooled(self, first: Tensor, last: Tensor, speaker: int) -> Tensor:
        """Means and deviations from `first` to `last`, (n,) each -> (n, 2 * channels)."""
        count, total, squares = (
            sums[last, speaker] - sums[first, speaker]
            for sums in (self._counts, self._sums, self._squares)
        )
        return torch.cat(mean_and_deviation(count[:, None], total, squares), dim=1)


def _cumulative(values: Tensor) -> Tensor:
    """(n, ...) -> (n + 1, ...): the sums of the first 0, 1, ..., n values."""
    return torch.cat([values.new_zeros(1, *values.shape[1:]), values.cumsum(dim=0)])


def _strongest(changes: list[SpeakerChange]) -> list[SpeakerChange]:
    """The MAX_SUBTRACKS - 1 changes between the least similar sides, in order of time."""
    strongest = sorted(changes, key=lambda change: change.similarity)[: MAX_SUBTRACKS - 1]
    return sorted(strongest, key=lambda change: change.time_s)


def split_at_changes(
    active: np.ndarray,
    times: np.ndarray,
    changes: Sequence[Sequence[Sequence[SpeakerChange]]],
) -> np.ndarray:
    """Give every speaker within a local speaker a sub-track.

    Args:
        active: (chunks, frames, speakers), 1 where a local speaker is active.
        times: (frames,), seconds into the chunk.
        changes: for each chunk, for each local speaker, in order of time.

    Returns:
        (chunks, frames, MAX_SUBTRACKS, speakers), 0 or 1: at any time one sub-track has what its
        local speaker has in `active`.
    """
    chunks, frames, speakers = active.shape
    tracks = np.zeros((chunks, frames, MAX_SUBTRACKS, speakers), dtype=active.dtype)
    tracks[:, :, 0] = active
    for chunk, speaker in np.ndindex(chunks, speakers):
        cut_s = -np.inf
        for subtrack, change in enumerate(changes[chunk][speaker], start=1):
            pause_s = _nearest_pause(change.time_s, active[chunk, :, speaker], times)
            # Of two changes near one pause, only the earlier one is moved into it.
            cut_s = pause_s if pause_s > cut_s else max(cut_s, change.time_s)
            later = times >= cut_s
            tracks[chunk, later, subtrack, speaker] = active[chunk, later, speaker]
            tracks[chunk, later, subtrack - 1, speaker] = 0
    return tracks


def _nearest_pause(time_s: float, active: np.ndarray, times: np.ndarray) -> float:
    """The middle of the pause of a local speaker nearest to `time_s`; without any, `time_s`."""
    edges = np.flatnonzero(np.diff(active, prepend=1, append=1))
    starts, ends = times[edges[::2]], times[np.minimum(edges[1::2], len(times) - 1)]
    distances = np.maximum(0.0, np.maximum(starts - time_s, time_s - ends))
    near = (distances <= MAX_PAUSE_DISTANCE_S) & (ends - starts >= MIN_PAUSE_S)
    if not near.any():
        return time_s
    nearest = int(np.argmin(np.where(near, distances, np.inf)))
    return float(starts[nearest] + ends[nearest]) / 2
