"""Average-linkage clustering of embeddings that keeps apart what occurs in the same chunks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

from speech_endpoint.diarization.limits import SpeakerLimits

# Mean cosine distance (of CAM++ embeddings) up to which two groups are one speaker. From 0.45 to
# 0.55 the words of the conversations are given alike. In the mean, two voices are 0.94 apart, and
# two stretches of 2 s of one voice 0.31.
SAME_SPEAKER_DISTANCE = 0.55
# Where more speakers are asked for than that: groups that are closer are one voice all the same,
# and fewer embeddings than a speaker has otherwise are a speaker from this distance on. Flat from
# 0.35 to 0.5, and from 0.75 on.
ONE_VOICE_DISTANCE = 0.4
SURELY_ANOTHER_DISTANCE = 0.75
# Added to the distance of two groups, times the share of chunks in which both occur: segmentation
# tells them apart there. Flat from 0.2 to 1.0.
CO_OCCURRENCE_PENALTY = 0.5
# Embeddings this close are joined first, by scipy, in batches: memory stays linear in the duration.
NEAR_DUPLICATE_DISTANCE = 0.2
LINKAGE_BATCH = 2000
# A speaker has at least so many embeddings, or this share of them in short recordings (pyannote's
# rule).
MIN_CLUSTER_SIZE, MIN_CLUSTER_SHARE = 12, 0.1

Merge = tuple[int, int, float]
"""The group that absorbs, the one that is absorbed, and how far apart they are."""


def cluster_members(
    vectors: np.ndarray,
    chunks: np.ndarray,
    n_chunks: int,
    limits: SpeakerLimits,
) -> list[np.ndarray]:
    """Cluster the embeddings of local speakers.

    Args:
        vectors: (n, dimension), unit length.
        chunks: (n,), the chunk of each.
        n_chunks: chunks of the recording.
        limits: how many clusters are wanted.

    Returns:
        For each cluster the indices of its vectors, the largest cluster first. Vectors of groups
        that are too small to be a speaker are in none. Fewer than are wanted where fewer can be
        told apart: whoever says a word only would otherwise get what another says.
    """
    groups = _near_duplicates(vectors)
    merges, sizes = _agglomerate(vectors, chunks, n_chunks, groups)
    min_size = min(MIN_CLUSTER_SIZE, max(1, round(MIN_CLUSTER_SHARE * len(vectors))))
    natural_merges = _merges_up_to(SAME_SPEAKER_DISTANCE, merges)
    natural = int((sizes[natural_merges] >= min_size).sum()) or 1
    at_most = min(len(vectors), limits.at_most or len(vectors))
    target = max(min(len(vectors), limits.at_least or 1), min(at_most, natural))
    is_speaker = (sizes >= min_size) | (
        (sizes > 0) & (_next_distances(merges, sizes.shape[1]) >= SURELY_ANOTHER_DISTANCE)
    )
    is_speaker[: _merges_up_to(ONE_VOICE_DISTANCE, merges)] = False
    speaker_sizes = np.where(is_speaker, sizes, 0)
    n_merges, smallest = _best_partition(speaker_sizes, target, natural_merges, min_size)
    members = [np.flatnonzero(groups == group) for group in range(groups.max() + 1)]
    for into, absorbed, _ in merges[:n_merges]:
        members[into] = np.concatenate([members[into], members[absorbed]])
        members[absorbed] = members[absorbed][:0]
    is_kept = speaker_sizes[n_merges] >= smallest
    speakers = [members[group] for group in np.flatnonzero(is_kept)] or [max(members, key=len)]
    return sorted(speakers, key=len, reverse=True)[:at_most]


def _merges_up_to(distance: float, merges: Sequence[Merge]) -> int:
    """How many merges come before the first one of groups further apart than `distance`."""
    return next((n for n, (*_, apart) in enumerate(merges) if apart > distance), len(merges))


def _next_distances(merges: Sequence[Merge], n_groups: int) -> np.ndarray:
    """(merges + 1, groups), the distance at which each group is merged next; infinite if never."""
    distances = np.full((len(merges) + 1, n_groups), np.inf)
    for n in reversed(range(len(merges))):
        distances[n] = distances[n + 1]
        distances[n, list(merges[n][:2])] = merges[n][2]
    return distances


def _best_partition(
    sizes: np.ndarray, target: int, natural_merges: int, largest_min_size: int
) -> tuple[int, int]:
    """Choose how many merges to make, and how small a group may be and still be a speaker.

    The number of speakers comes first; then rather small groups are speakers than that other groups
    are cut, or joined, where their distances do not suggest it.

    Args:
        sizes: (merges + 1, groups), after so many merges the sizes of the groups that may be a
            speaker; 0 of others.
        target: how many speakers are wanted.
        natural_merges: how many merges the distances suggest.
        largest_min_size: of a speaker's group.
    """

    def cost(choice: tuple[int, int]) -> tuple[int, int, int]:
        n_merges, min_size = choice
        n_speakers = int((sizes[n_merges] >= min_size).sum())
        return abs(n_speakers - target), abs(n_merges - natural_merges), -min_size

    return min(product(range(len(sizes)), range(1, largest_min_size + 1)), key=cost)


def _near_duplicates(vectors: np.ndarray) -> np.ndarray:
    """(n,), a group number for each vector: chunks overlap, so most vectors have near twins."""
    groups, n_groups = np.zeros(len(vectors), dtype=int), 0
    for first in range(0, len(vectors), LINKAGE_BATCH):
        batch = vectors[first : first + LINKAGE_BATCH]
        numbers = np.zeros(1, dtype=int)
        if len(batch) > 1:
            tree = linkage(batch, method="average", metric="cosine")
            numbers = fcluster(tree, NEAR_DUPLICATE_DISTANCE, "distance") - 1
        groups[first : first + len(batch)] = n_groups + numbers
        n_groups += numbers.max() + 1
    return groups


class _Groups:
    """Groups of vectors and where they occur, while they are merged."""

    def __init__(
        self, vectors: np.ndarray, chunks: np.ndarray, n_chunks: int, groups: np.ndarray
    ) -> None:
        n_groups = groups.max() + 1
        self.sizes = np.bincount(groups).astype(float)
        self.centroid_sums = np.zeros((n_groups, vectors.shape[1]))
        np.add.at(self.centroid_sums, groups, vectors)
        self.chunk_presence = np.zeros((n_groups, n_chunks), dtype=np.float32)
        self.chunk_presence[groups, chunks] = 1

    def __len__(self) -> int:
        return len(self.sizes)

    def distances(self, group: int) -> np.ndarray:
        """(groups,), the distances from one group; infinite to itself and to absorbed groups."""
        centroids = self.centroid_sums / np.maximum(self.sizes, 1)[:, None]
        mean_distance = 1 - centroids @ (self.centroid_sums[group] / self.sizes[group])
        presence = self.chunk_presence[group]
        fewer_chunks = np.minimum(self.chunk_presence.sum(axis=1), presence.sum())
        co_occurrence = self.chunk_presence @ presence / np.maximum(1, fewer_chunks)
        distances = mean_distance + CO_OCCURRENCE_PENALTY * co_occurrence
        distances[(self.sizes == 0) | (np.arange(len(self)) == group)] = np.inf
        return distances

    def merge(self, into: int, absorbed: int) -> None:
        """Move the vectors of group `absorbed` to group `into`."""
        self.centroid_sums[into] += self.centroid_sums[absorbed]
        self.chunk_presence[into] = np.maximum(
            self.chunk_presence[into], self.chunk_presence[absorbed]
        )
        self.sizes[into] += self.sizes[absorbed]
        self.sizes[absorbed] = 0


def _agglomerate(
    vectors: np.ndarray, chunks: np.ndarray, n_chunks: int, group_numbers: np.ndarray
) -> tuple[list[Merge], np.ndarray]:
    """Merge the closest two groups until one is left.

    Args:
        vectors: (n, dimension), unit length.
        chunks: (n,), the chunk of each.
        n_chunks: chunks of the recording.
        group_numbers: (n,), the group of each.

    Returns:
        The merges, and (merges + 1, groups), the groups' sizes before the first merge and after
        each.
    """
    groups = _Groups(vectors, chunks, n_chunks, group_numbers)
    distance_matrix = np.stack([groups.distances(group) for group in range(len(groups))])
    merges, sizes = [], [groups.sizes.copy()]
    for _ in range(len(groups) - 1):
        into, absorbed = sorted(divmod(int(distance_matrix.argmin()), len(groups)))
        merges.append((into, absorbed, float(distance_matrix[into, absorbed])))
        groups.merge(into, absorbed)
        distance_matrix[into] = distance_matrix[:, into] = groups.distances(into)
        distance_matrix[absorbed] = distance_matrix[:, absorbed] = np.inf
        sizes.append(groups.sizes.copy())
    return merges, np.stack(sizes)
