"""Which local speakers, of which chunks, are the same speaker."""

from __future__ import annotations

from typing import Any

import numpy as np
from pyannote.audio.pipelines.clustering import BaseClustering
from pyannote.core import SlidingWindowFeature

from speech_endpoint.diarization.agglomeration import cluster_members
from speech_endpoint.diarization.local_tracks import split_columns

# A local speaker takes part in the clustering when it is active alone for this share of its chunk;
# the next share is tried where that leaves too few, or fewer speakers than are asked for. Less than
# 1 s of speech finds no further speaker: such embeddings only tear others apart.
ACTIVE_SHARES = (0.2, 0.1, 0.05, 0.0)
MIN_SHARE_OF_A_FURTHER_SPEAKER = 0.1

Assignment = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Clusters (chunks, speakers), similarities (chunks, speakers, clusters), centroids (clusters,
dimension)."""
Limits = tuple[int | None, int | None, int | None]
"""The exact, the smallest and the largest number of clusters, where given."""


class CoOccurrenceClustering(BaseClustering):
    """Average-linkage clustering that keeps apart local speakers who occur in the same chunks."""

    expects_num_clusters = False

    def __init__(self, n_local_speakers: int) -> None:
        """Make a clustering for the columns that `local_tracks.join_subtracks` returns.

        Args:
            n_local_speakers: how many speakers the segmentation tells apart in a chunk.
        """
        super().__init__(metric="cosine", constrained_assignment=True)
        self.n_local_speakers = n_local_speakers

    def __call__(
        self,
        embeddings: np.ndarray,
        segmentations: SlidingWindowFeature,
        num_clusters: int | None = None,
        min_clusters: int | None = None,
        max_clusters: int | None = None,
        **_: Any,
    ) -> Assignment:
        """Assign every column of every chunk to a cluster.

        A sub-track is clustered as if it came from a chunk of its own: it may be the same speaker
        as any sub-track of another number.

        Args:
            embeddings: (chunks, columns, dimension); NaN where nobody speaks.
            segmentations: (chunks, frames, columns), 0 or 1.
            num_clusters: how many clusters there are, if known.
            min_clusters: at least so many.
            max_clusters: at most so many.

        Returns:
            Clusters (chunks, columns), similarities (chunks, columns, clusters) and centroids
            (clusters, dimension). A cluster of -2 means: more local speakers than clusters.
        """
        chunks, frames, columns = segmentations.data.shape
        n_speakers = self.n_local_speakers
        tracks = split_columns(segmentations.data, n_speakers, axis=2)
        subtrack_embeddings = split_columns(embeddings, n_speakers, axis=1)
        clusters, similarities, centroids = self._cluster(
            subtrack_embeddings.reshape(-1, n_speakers, embeddings.shape[2]),
            tracks.any(axis=1).reshape(-1, n_speakers),
            _non_overlapped_frames(tracks).reshape(-1, n_speakers) / frames,
            (num_clusters, min_clusters, max_clusters),
        )
        return (
            clusters.reshape(chunks, columns),
            similarities.reshape(chunks, columns, -1),
            centroids,
        )

    def _cluster(
        self, embeddings: np.ndarray, active: np.ndarray, active_share: np.ndarray, limits: Limits
    ) -> Assignment:
        """Assign every local speaker of every chunk to a cluster.

        Args:
            embeddings: (chunks, speakers, dimension); NaN where nobody speaks.
            active: (chunks, speakers), whether the local speaker is active at all.
            active_share: (chunks, speakers), the share of the chunk that it is active alone.
            limits: of the number of clusters.
        """
        embedded = ~np.isnan(embeddings[..., 0])
        best, most_speakers = _one_cluster(embeddings), 0
        for min_share in ACTIVE_SHARES:
            chunks, speakers = np.nonzero(embedded & (active_share >= min_share))
            if len(chunks) < 2:
                continue
            if most_speakers and min_share < MIN_SHARE_OF_A_FURTHER_SPEAKER:
                break
            vectors = _unit(embeddings[chunks, speakers])
            bounds = self.set_num_clusters(len(vectors), *limits)
            members = cluster_members(vectors, chunks, len(embeddings), *bounds)
            centroids = np.stack([vectors[indices].mean(axis=0) for indices in members])
            assignment = self._assign(embeddings, active, centroids)
            n_speakers = len(np.unique(assignment[0][active & (assignment[0] >= 0)]))
            if n_speakers > most_speakers:
                best, most_speakers = assignment, n_speakers
            if limits[0] is None or n_speakers == limits[0]:
                break
        return best

    def _assign(
        self, embeddings: np.ndarray, active: np.ndarray, centroids: np.ndarray
    ) -> Assignment:
        """Assign each local speaker to the nearest centroid, no two of one chunk to the same."""
        embedded = ~np.isnan(embeddings[..., 0])
        known = 1 + _unit(embeddings[embedded]) @ _unit(centroids).T
        similarities = np.full((*active.shape, len(centroids)), known.min(), known.dtype)
        similarities[embedded] = known
        similarities[~active] = known.min() - 1
        return self.constrained_argmax(similarities), similarities, centroids


def _non_overlapped_frames(tracks: np.ndarray) -> np.ndarray:
    """Count the frames in which a sub-track is the only one of its number that is active.

    Args:
        tracks: (chunks, frames, subtracks, speakers), 0 or 1.

    Returns:
        (chunks, subtracks, speakers), float32.
    """
    return np.einsum(
        "cfts,cft->cts",
        tracks,
        tracks.sum(axis=3, dtype=np.uint8) == 1,
        dtype=np.float32,
        casting="unsafe",
    )


def _unit(vectors: np.ndarray) -> np.ndarray:
    """(..., dimension) -> the same directions, of length 1."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _one_cluster(embeddings: np.ndarray) -> Assignment:
    """Everybody in one cluster, for recordings with too little speech to embed anybody."""
    chunks, speakers, dimension = embeddings.shape
    return (
        np.zeros((chunks, speakers), np.int8),
        np.ones((chunks, speakers, 1)),
        np.zeros((1, dimension)),
    )
