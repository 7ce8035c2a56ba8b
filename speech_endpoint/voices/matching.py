"""Which of a recording's speakers are the voices that are known. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

Vector = npt.NDArray[np.float32]

# docs/known-speakers.md: of 100 strangers, one is given one of eight names at 0.47, on voices that
# read; of more names by chance one is nearer.
DEFAULT_THRESHOLD, NAMES_OF_THRESHOLD = 0.5, 8
PER_DOUBLING = 0.02
MIN_MARGIN = 0.05
"""By how much a speaker must be nearer to a name than to any other."""


@dataclass(frozen=True, slots=True)
class Match:
    """A name and the speaker who is nearest to it."""

    name: str
    label: str | None = None
    """Of the speaker; None where there is nobody."""
    score: float | None = None
    """The cosine of the two."""
    matched: bool = False
    """Whether it is that speaker."""


def default_threshold(n_names: int) -> float:
    """The least cosine, higher for more than `NAMES_OF_THRESHOLD` names."""
    doublings = math.log2(max(n_names, NAMES_OF_THRESHOLD) / NAMES_OF_THRESHOLD)
    return DEFAULT_THRESHOLD + PER_DOUBLING * doublings


def voices_by_name(voices: Iterable[tuple[str, Vector]]) -> dict[str, Vector]:
    """One unit vector for each name: the mean of its references', in order of first mention."""
    by_name: dict[str, list[Vector]] = {}
    for name, vector in voices:
        by_name.setdefault(name, []).append(unit(vector))
    return {name: unit(np.mean(vectors, axis=0)) for name, vectors in by_name.items()}


def match(
    speakers: Mapping[str, Vector], names: Mapping[str, Vector], threshold: float
) -> list[Match]:
    """Give names to speakers, one to one, so that the sum of the cosines is the largest.

    A pair counts if its cosine is at least `threshold`, and by `MIN_MARGIN` above that of the same
    speaker with any other name: whoever is like two names has neither.

    Args:
        speakers: (dimension,) of each speaker, by label.
        names: (dimension,) of each name.
        threshold: the least cosine.

    Returns:
        One for each name, in order.
    """
    if not speakers or not names:
        return [Match(name) for name in names]
    labels, scores = list(speakers), cosines(speakers, names)
    margins = scores - _best_others(scores)
    found: list[Match] = []
    pairs = dict(zip(*linear_sum_assignment(scores.T, maximize=True), strict=True))
    for n, name in enumerate(names):
        is_pair = n in pairs
        row = int(pairs[n]) if is_pair else int(scores[:, n].argmax())
        score = float(scores[row, n])
        matched = is_pair and score >= threshold and float(margins[row, n]) >= MIN_MARGIN
        found.append(Match(name, labels[row], score, matched))
    return found


def cosines(speakers: Mapping[str, Vector], names: Mapping[str, Vector]) -> np.ndarray:
    """(speakers, names)."""
    rows, columns = (
        np.stack([unit(vector) for vector in some.values()]) for some in (speakers, names)
    )
    scores: np.ndarray = rows @ columns.T
    return scores


def unit(vector: npt.NDArray) -> Vector:
    """The direction of a vector; one of zeros stays as it is."""
    length = np.linalg.norm(vector)
    return (vector / length if length else vector).astype(np.float32)


def _best_others(scores: np.ndarray) -> np.ndarray:
    """(speakers, names), the same speaker's best score with another name; -1 of a single one."""
    best = np.full_like(scores, -1.0)
    for n in range(scores.shape[1]):
        others = np.delete(scores, n, axis=1)
        if others.size:
            best[:, n] = others.max(axis=1)
    return best
