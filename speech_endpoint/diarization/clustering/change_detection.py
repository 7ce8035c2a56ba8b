"""Speaker change detection: local speakers who are several speakers, cut where one follows another.

Segmentation tells apart speakers who talk at the same time, but often takes two similar readers or
callers, one after the other, for one local speaker. Where the embeddings of what a local speaker
says before and after a moment differ, somebody else has begun: change detection as in Chen and
Gopalakrishnan, "Speaker, environment and channel change detection and clustering via the Bayesian
information criterion" (1998), with the cosine of embeddings as its measure.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from speech_endpoint.diarization.networks.campplus import mean_and_deviation
from speech_endpoint.diarization.networks.chunks import centred
from speech_endpoint.diarization.units import map_in_units
from speech_endpoint.units import Units

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

# Chunks that are searched at once.
CHUNKS_PER_BATCH = 16

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
    """Find where the local speakers of every chunk become other speakers.

    A local speaker is cut at the grid point whose sides are the least similar, then both sides are
    searched again. All local speakers of a batch of chunks are searched at once, level by level.

    Args:
        features: (frames, channels), frame features of the section that the chunks lie in.
        offset: (channels,), their mean.
        non_overlapped: (chunks, frames per chunk, speakers), 1 where only this local speaker is
            active; chunk n begins at frame n * `hop`.
        hop: frames from the start of one chunk to the start of the next; a chunk is a whole number
            of them, and they are a whole number of grid steps.
        frames_per_s: rate of the frames.
        embed: turns pooled features less `offset` into embeddings.

    Returns:
        For each chunk, for each local speaker its changes in order of time, at most
        MAX_SUBTRACKS - 1.
    """

    @torch.inference_mode()
    def changes_in(first: int) -> list[list[list[SpeakerChange]]]:
        masks = non_overlapped[first : first + CHUNKS_PER_BATCH]
        section = centred(features[first * hop :], offset, masks.shape, hop)
        statistics = _GridStatistics(section, masks, hop, round(GRID_S * frames_per_s))
        return _changes(statistics, MIN_SIDE_S * frames_per_s, embed)

    starts = range(0, len(non_overlapped), CHUNKS_PER_BATCH)
    batches = yield from map_in_units(changes_in, starts, features.device)
    return [chunk for batch in batches for chunk in batch]


def _changes(
    statistics: _GridStatistics, min_frames: float, embed: Embed
) -> list[list[list[SpeakerChange]]]:
    """The changes of all local speakers of some chunks, as `detect_changes` returns them."""
    n_chunks, n_points, n_speakers = statistics.counts.shape
    found: dict[tuple[int, int], list[SpeakerChange]] = {}
    spans = [
        (chunk, speaker, 0, n_points - 1)
        for chunk, speaker in itertools.product(range(n_chunks), range(n_speakers))
    ]
    while spans:
        cuts = statistics.least_similar(np.array(spans), min_frames, embed)
        parts = []
        for (chunk, speaker, first, last), (cut, similarity) in zip(spans, cuts, strict=True):
            if similarity < SAME_SPEAKER_SIMILARITY:
                change = SpeakerChange(cut * GRID_S, similarity)
                found.setdefault((chunk, speaker), []).append(change)
                parts += [(chunk, speaker, first, cut), (chunk, speaker, cut, last)]
        spans = parts
    return [
        [_strongest(found.get((chunk, speaker), [])) for speaker in range(n_speakers)]
        for chunk in range(n_chunks)
    ]


class _GridStatistics:
    """Cumulative sums on the grids of some chunks: any span's statistics by two look-ups."""

    def __init__(self, section: Tensor, masks: np.ndarray, hop: int, step_frames: int) -> None:
        """Sum over the grid steps.

        Args:
            section: (frames, channels), as `centred` returns them.
            masks: (chunks, frames per chunk, speakers), 0 or 1.
            hop: frames from the start of one chunk to the start of the next.
            step_frames: frames of a grid step.
        """
        n_chunks, size, n_speakers = masks.shape
        in_steps = masks.reshape(n_chunks, -1, step_frames, n_speakers)
        counts = in_steps.sum(axis=2, dtype=np.int64).cumsum(axis=1)
        self.counts = np.pad(counts, ((0, 0), (1, 0), (0, 0)))
        """(chunks, grid points, speakers), active frames before each grid point."""
        active = torch.from_numpy(in_steps).to(section).mT
        steps = section.view(-1, hop // step_frames, step_frames, section.shape[1])
        n_hops, per_hop = size // hop, hop // step_frames
        of_hops = [
            (active[:, n * per_hop : (n + 1) * per_hop], steps[n : n + n_chunks])
            for n in range(n_hops)
        ]
        self._sums = _cumulative(torch.cat([mask @ x for mask, x in of_hops], dim=1))
        self._squares = _cumulative(torch.cat([mask @ x.square() for mask, x in of_hops], dim=1))

    def least_similar(
        self, spans: np.ndarray, min_frames: float, embed: Embed
    ) -> list[tuple[int, float]]:
        """Find in each span the grid point whose two sides are the least similar.

        Args:
            spans: (n, 4): chunk, local speaker, first and last grid point.
            min_frames: of speech on either side.
            embed: turns pooled features into embeddings.

        Returns:
            Grid points and similarities; infinite where no point has enough speech on both sides.
        """
        chunk, speaker, first, last = spans.T
        counts = self.counts[chunk, :, speaker]
        n_before = counts - np.take_along_axis(counts, first[:, None], axis=1)
        n_after = np.take_along_axis(counts, last[:, None], axis=1) - counts
        span, point = np.nonzero((n_before >= min_frames) & (n_after >= min_frames))
        similarities = np.full(counts.shape, np.inf, np.float32)
        if len(span):
            begin, end = (first[span], point), (point, last[span])
            pooled = self._pooled(chunk[span], speaker[span], np.stack(begin), np.stack(end))
            before, after = embed(pooled).chunk(2)
            similarities[span, point] = cosine_similarity(before, after).cpu().numpy()
        points = similarities.argmin(axis=1)
        least = similarities.min(axis=1)
        return [(int(n), float(value)) for n, value in zip(points, least, strict=True)]

    def _pooled(
        self, chunk: np.ndarray, speaker: np.ndarray, begin: np.ndarray, end: np.ndarray
    ) -> Tensor:
        """Means and deviations of spans: `begin` and `end` (sides, n) -> (sides * n, channels)."""
        n_active = self.counts[chunk, end, speaker] - self.counts[chunk, begin, speaker]
        where = [np.broadcast_to(index, begin.shape) for index in (chunk, speaker)]
        chunks, speakers, begins, ends = (
            torch.from_numpy(np.ascontiguousarray(index).ravel()).to(self._sums.device)
            for index in (*where, begin, end)
        )
        total, squares = (
            sums[chunks, ends, speakers] - sums[chunks, begins, speakers]
            for sums in (self._sums, self._squares)
        )
        count = torch.from_numpy(n_active.ravel()).to(total)
        return torch.cat(mean_and_deviation(count[:, None], total, squares), dim=1)


def _cumulative(values: Tensor) -> Tensor:
    """(chunks, n, ...) -> (chunks, n + 1, ...): the sums of the first 0, 1, ..., n values."""
    return torch.cat([torch.zeros_like(values[:, :1]), values.cumsum(dim=1)], dim=1)


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
