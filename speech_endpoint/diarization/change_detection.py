"""Voices of a window that are several people's, cut where the next person goes on.

Segmentation tells people apart who talk at the same time, but often takes two readers or callers of a kind, one after
the other, for one voice. Where the embeddings of what a voice says before and after a moment are unlike, somebody else
has begun: change detection as in Chen and Gopalakrishnan, "Speaker, environment and channel change detection and
clustering via the Bayesian information criterion" (1998), with the cosine of embeddings as its measure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from speech_endpoint.diarization.campplus import mean_and_deviation

# A voice is cut where both sides are less alike than this. On phone_call, four_speakers, long_five_speakers and
# ami_dev00, trn03, trn05, trn07 every value from 0.5 to 0.55 serves alike, and on the other recordings too; phone calls
# begin to be cut within one speaker's words at 0.6.
SAME_PERSON_SIMILARITY = 0.52
# Less speech than this on either side says nothing about who it is; 0.6 to 1 s give the same answers.
LEAST_S = 0.8
# Cuts are looked for on a grid: 0.1 to 0.4 s give the same answers.
GRID_S = 0.2
# People change at pauses: one so near to where voices seem to change is where they do.
PAUSE_WITHIN_S = 0.5
SHORTEST_PAUSE_S = 0.1
# More people than this in one voice of one window (10 s) are not told apart.
MOST_PARTS = 3

Embed = Callable[[Tensor], Tensor]
"""(n, 2 * channels), means and deviations of the frames of n voices -> (n, dimension)."""


@dataclass(frozen=True)
class Change:
    """Somebody else goes on, `time` seconds into the window."""

    time: float
    similarity: float


def speaker_changes(
    frames: Tensor, alone: Tensor, frames_per_s: int, embed: Embed
) -> list[list[Change]]:
    """Where each voice of a window becomes another person's, in order; at most MOST_PARTS - 1 times.

    Args:
        frames: (n, channels), an embedding network's, float32, with means near zero.
        alone: (n, voices), 1 where only this voice talks.
    """
    size = round(GRID_S * frames_per_s)
    blocks, talks = (part.unflatten(0, (-1, size)) for part in (frames, alone))
    counts, sums, squares = (
        torch.cat([total.new_zeros(1, *total.shape[1:]), total.cumsum(dim=0)])
        for total in (talks.sum(dim=1), talks.mT @ blocks, talks.mT @ blocks.square())
    )
    least = LEAST_S * frames_per_s

    def statistics(first: Tensor, last: Tensor, voice: int) -> Tensor:
        count = (counts[last, voice] - counts[first, voice])[:, None]
        between = (total[last, voice] - total[first, voice] for total in (sums, squares))
        return torch.cat(mean_and_deviation(count, *between), dim=1)

    def changes(first: int, last: int, voice: int) -> list[Change]:
        count = counts[first : last + 1, voice]
        cuts = (
            first
            + torch.nonzero((count - count[0] >= least) & (count[-1] - count >= least)).flatten()
        )
        if not len(cuts):
            return []
        starts, ends = torch.full_like(cuts, first), torch.full_like(cuts, last)
        before, after = embed(
            statistics(torch.cat([starts, cuts]), torch.cat([cuts, ends]), voice)
        ).chunk(2)
        similarity, at = cosine_similarity(before, after).min(dim=0)
        if similarity >= SAME_PERSON_SIMILARITY:
            return []
        cut = int(cuts[at])
        return [
            *changes(first, cut, voice),
            Change(cut * GRID_S, float(similarity)),
            *changes(cut, last, voice),
        ]

    return [_clearest(changes(0, len(blocks), voice)) for voice in range(alone.shape[1])]


def _clearest(changes: list[Change]) -> list[Change]:
    clearest = sorted(changes, key=lambda change: change.similarity)[: MOST_PARTS - 1]
    return sorted(clearest, key=lambda change: change.time)


def split_voices(
    active: np.ndarray, times: np.ndarray, changes: Sequence[Sequence[Sequence[Change]]]
) -> np.ndarray:
    """Give every person a column of their own.

    Args:
        active: (windows, frames, voices), 1 where a voice talks.
        times: (frames,), seconds into the window.
        changes: of each window, of each voice.

    Returns:
        (windows, frames, MOST_PARTS * voices): column `part * voices + voice` is the person `part` of a voice.
    """
    windows, frames, voices = active.shape
    split = np.zeros((windows, frames, MOST_PARTS, voices), dtype=active.dtype)
    split[:, :, 0] = active
    for window, of_voices in enumerate(changes):
        for voice, found in enumerate(of_voices):
            cut = -np.inf
            for part, change in enumerate(found, start=1):
                pause = _pause_near(change.time, active[window, :, voice], times)
                # Two changes near one pause: the later one is not in it.
                cut = pause if pause > cut else max(cut, change.time)
                later = times >= cut
                split[window, later, part, voice] = active[window, later, voice]
                split[window, later, part - 1, voice] = 0
    return split.reshape(windows, frames, MOST_PARTS * voices)


def _pause_near(time: float, active: np.ndarray, times: np.ndarray) -> float:
    """The middle of the pause of a voice that is nearest to `time`, or `time` where there is none near."""
    edges = np.flatnonzero(np.diff(active, prepend=1, append=1))
    starts, ends = times[edges[::2]], times[np.minimum(edges[1::2], len(times) - 1)]
    distances = np.maximum(0.0, np.maximum(starts - time, time - ends))
    near = (distances <= PAUSE_WITHIN_S) & (ends - starts >= SHORTEST_PAUSE_S)
    if not near.any():
        return time
    nearest = int(np.argmin(np.where(near, distances, np.inf)))
    return float(starts[nearest] + ends[nearest]) / 2
