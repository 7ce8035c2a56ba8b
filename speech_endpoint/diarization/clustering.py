"""Which of the voices heard in short windows are the same person."""

from __future__ import annotations

from typing import Any

import numpy as np
from pyannote.audio.pipelines.clustering import BaseClustering
from pyannote.core import SlidingWindowFeature
from scipy.cluster.hierarchy import fcluster, linkage

# Mean cosine distance (CAM++) up to which two groups of voices are one person. On conversations tuned on, the error
# is flat from 0.35 to 0.40, on the others from 0.31 to 0.43; without CONFLICT_PENALTY there is no such plateau.
SAME_PERSON_DISTANCE = 0.37
# Added to the distance of two groups that speak in the same windows, times the share of such windows: segmentation
# hears them as two people there. Flat from 0.2 to 1.0.
CONFLICT_PENALTY = 0.5
# Voices this close are joined first, by scipy, stretch by stretch, so that memory stays linear in the duration.
NEAR_DUPLICATE_DISTANCE = 0.15
STRETCH_VOICES = 2000
# A person has at least so many voices, or this share of them in short recordings (pyannote's rule).
MIN_VOICES, MIN_VOICES_SHARE = 12, 0.1
# A voice counts when it speaks alone for this share of its window; in turn, where there are too few of them.
ACTIVE_SHARES = (0.2, 0.1, 0.05, 0.0)


class ConflictAwareClustering(BaseClustering):
    """Average-linkage clustering that knows that two voices in one window are two people."""

    expects_num_clusters = False

    def __init__(self, voices: int) -> None:
        """
        Args:
            voices: how many segmentation tells apart in a window; columns beyond are later parts of the same voices,
                as `voice_splitting.split_voices` has them, and may be anybody.
        """
        super().__init__(metric="cosine", constrained_assignment=True)
        self.voices = voices

    def __call__(
        self,
        embeddings: np.ndarray,
        segmentations: SlidingWindowFeature | None = None,
        num_clusters: int | None = None,
        min_clusters: int | None = None,
        max_clusters: int | None = None,
        **_: Any,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Assign every (window, local speaker) pair to a person.

        Args:
            embeddings: (windows, speakers, dimension); NaN where nobody speaks.
            segmentations: (windows, frames, speakers), 0 or 1.

        Returns:
            Persons (windows, speakers), similarities (windows, speakers, persons), centroids (persons, dimension).
        """
        assert segmentations is not None
        windows, frames, speakers = segmentations.data.shape
        parts = segmentations.data.reshape(windows, frames, -1, self.voices)
        alone = np.einsum(
            "wfpv,wfp->wpv",
            parts,
            parts.sum(axis=3, dtype=np.uint8) == 1,
            dtype=np.float32,
            casting="unsafe",
        )
        persons, similarities, centroids = self._cluster(
            embeddings.reshape(-1, self.voices, embeddings.shape[2]),
            parts.any(axis=1).reshape(-1, self.voices),
            alone.reshape(-1, self.voices) / frames,
            (num_clusters, min_clusters, max_clusters),
        )
        return (
            persons.reshape(windows, speakers),
            similarities.reshape(windows, speakers, -1),
            centroids,
        )

    def _cluster(
        self,
        embeddings: np.ndarray,
        active: np.ndarray,
        alone: np.ndarray,
        limits: tuple[int | None, int | None, int | None],
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same for windows without later parts.

        Args:
            embeddings: (windows, speakers, dimension).
            active: (windows, speakers), whether they talk in it at all.
            alone: (windows, speakers), for which share of it they talk alone.
            limits: exactly, at least and at most so many persons.
        """
        embedded = ~np.isnan(embeddings[..., 0])
        assigned = None
        for share in ACTIVE_SHARES:
            windows, speakers = np.nonzero(embedded & (alone >= share))
            if len(windows) < 2:
                continue
            voices = _unit(embeddings[windows, speakers])
            exact, least, most = self.set_num_clusters(len(voices), *limits)
            persons = _persons(voices, windows, len(embeddings), exact, least, most)
            centroids = np.stack([voices[members].mean(axis=0) for members in persons])
            assigned = self._assign(embeddings, active, centroids)
            # Negative: more voices at once than persons.
            if (
                limits[0] is None
                or len(np.unique(assigned[0][active & (assigned[0] >= 0)])) == limits[0]
            ):
                return assigned
        return assigned or _one_person(embeddings)

    def _assign(
        self, embeddings: np.ndarray, active: np.ndarray, centroids: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Each pair goes to the nearest centroid, two pairs of one window never to the same."""
        embedded = ~np.isnan(embeddings[..., 0])
        found = 1 + _unit(embeddings[embedded]) @ _unit(centroids).T
        similarities = np.full((*active.shape, len(centroids)), found.min(), found.dtype)
        similarities[embedded] = found
        similarities[~active] = found.min() - 1
        return self.constrained_argmax(similarities), similarities, centroids


def _unit(vectors: np.ndarray) -> np.ndarray:
    """(…, dimension) -> the same directions, of length 1."""
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return unit


def _one_person(embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    windows, speakers, dimension = embeddings.shape
    return (
        np.zeros((windows, speakers), np.int8),
        np.ones((windows, speakers, 1)),
        np.zeros((1, dimension)),
    )


def _persons(
    voices: np.ndarray,
    windows: np.ndarray,
    num_windows: int,
    exact: int | None,
    least: int,
    most: int,
) -> list[np.ndarray]:
    """Indices of the voices of each person.

    Args:
        voices: (voices, dimension), unit length.
        windows: (voices,), the window of each.
        exact, least, most: how many persons there are to be.
    """
    groups = _near_duplicates(voices)
    merges, sizes = _agglomerate(voices, windows, num_windows, groups)
    smallest = min(MIN_VOICES, max(1, round(MIN_VOICES_SHARE * len(voices))))
    natural = next(
        (n for n, merge in enumerate(merges) if merge[2] > SAME_PERSON_DISTANCE), len(merges)
    )

    def count(step: int, size: int) -> int:
        return int((sizes[step] >= size).sum())

    wanted = exact or max(least, min(most, count(natural, smallest) or 1))
    # The natural partition if it will do, with smaller groups counted as persons rather than others' groups cut.
    step, size = min(
        ((step, size) for step in range(len(sizes)) for size in range(smallest, 0, -1)),
        key=lambda choice: (abs(count(*choice) - wanted), abs(choice[0] - natural), -choice[1]),
    )
    members = [np.flatnonzero(groups == group) for group in range(groups.max() + 1)]
    for kept, gone, _ in merges[:step]:
        members[kept] = np.concatenate([members[kept], members[gone]])
        members[gone] = members[gone][:0]
    persons = sorted((group for group in members if len(group) >= size), key=len, reverse=True)
    return persons[:most]


def _near_duplicates(voices: np.ndarray) -> np.ndarray:
    """A group number for each voice: windows overlap, so most voices have near twins."""
    groups, used = np.zeros(len(voices), dtype=int), 0
    for first in range(0, len(voices), STRETCH_VOICES):
        stretch = voices[first : first + STRETCH_VOICES]
        if len(stretch) > 1:
            tree = linkage(stretch, method="average", metric="cosine")
            groups[first : first + len(stretch)] = (
                used + fcluster(tree, NEAR_DUPLICATE_DISTANCE, "distance") - 1
            )
        else:
            groups[first] = used
        used = groups[first : first + len(stretch)].max() + 1
    return groups


def _agglomerate(
    voices: np.ndarray, windows: np.ndarray, num_windows: int, groups: np.ndarray
) -> tuple[list[tuple[int, int, float]], np.ndarray]:
    """Merge the closest two groups until one is left.

    Returns:
        The merges (kept, gone, distance) and the groups' sizes before the first and after each: (merges + 1, groups).
    """
    num_groups = groups.max() + 1
    size = np.bincount(groups).astype(float)
    total = np.zeros((num_groups, voices.shape[1]))
    np.add.at(total, groups, voices)
    present = np.zeros((num_groups, num_windows), dtype=np.float32)
    present[groups, windows] = 1

    def distances(group: int) -> np.ndarray:
        mean = 1 - (total / np.maximum(size, 1)[:, None]) @ (total[group] / size[group])
        together = present @ present[group]
        conflict = together / np.maximum(1, np.minimum(present.sum(axis=1), present[group].sum()))
        row = mean + CONFLICT_PENALTY * conflict
        row[(size == 0) | (np.arange(num_groups) == group)] = np.inf
        return row

    table = np.stack([distances(group) for group in range(num_groups)])
    merges, sizes = [], [size.copy()]
    for _ in range(num_groups - 1):
        kept, gone = sorted(divmod(int(table.argmin()), num_groups))
        merges.append((kept, gone, float(table[kept, gone])))
        total[kept] += total[gone]
        present[kept] = np.maximum(present[kept], present[gone])
        size[kept], size[gone] = size[kept] + size[gone], 0
        table[kept] = table[:, kept] = distances(kept)
        table[gone] = table[:, gone] = np.inf
        sizes.append(size.copy())
    return merges, np.stack(sizes)
