"""Which local speakers, of which chunks, are the same speaker."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from speech_endpoint.diarization.clustering.agglomeration import cluster_members
from speech_endpoint.diarization.limits import SpeakerLimits
from speech_endpoint.diarization.local_tracks import split_columns

# A local speaker takes part in the clustering when it is active alone for this share of its chunk;
# the next share is tried where that leaves too few, or fewer speakers than are asked for. Less than
# 1 s of speech finds no further speaker: such embeddings only tear others apart.
ACTIVE_SHARES = (0.2, 0.1, 0.05, 0.0)
MIN_SHARE_OF_A_FURTHER_SPEAKER = 0.1

Assignment = tuple[np.ndarray, np.ndarray]
"""Clusters (chunks, speakers), centroids (clusters, dimension)."""


def cluster_columns(
    embeddings: np.ndarray, tracks: np.ndarray, n_local_speakers: int, limits: SpeakerLimits
) -> tuple[np.ndarray, np.ndarray]:
    """Assign every column of every chunk to a cluster, by average linkage.

    Local speakers who occur in the same chunks are kept apart. A sub-track is clustered as if it
    came from a chunk of its own: it may be the same speaker as any sub-track of another number.

    Args:
        embeddings: (chunks, columns, dimension); NaN where nobody speaks.
        tracks: (chunks, frames, columns), 0 or 1; `local_tracks` says what the columns are.
        n_local_speakers: how many speakers the segmentation tells apart in a chunk.
        limits: of the number of clusters.

    Returns:
        Clusters (chunks, columns) and centroids (clusters, dimension). A cluster of -2 means: more
        local speakers than clusters.
    """
    chunks, frames, columns = tracks.shape
    by_subtrack = split_columns(tracks, n_local_speakers, axis=2)
    subtrack_embeddings = split_columns(embeddings, n_local_speakers, axis=1)
    clusters, centroids = _cluster(
        subtrack_embeddings.reshape(-1, n_local_speakers, embeddings.shape[2]),
        by_subtrack.any(axis=1).reshape(-1, n_local_speakers),
        _non_overlapped_frames(by_subtrack).reshape(-1, n_local_speakers) / frames,
        limits,
    )
    return clusters.reshape(chunks, columns), centroids


def _cluster(
    embeddings: np.ndarray, active: np.ndarray, active_share: np.ndarray, limits: SpeakerLimits
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
        members = cluster_members(vectors, chunks, len(embeddings), limits)
        centroids = np.stack([vectors[indices].mean(axis=0) for indices in members])
        clusters = _assign(embeddings, active, centroids)
        n_speakers = len(np.unique(clusters[active & (clusters >= 0)]))
        if n_speakers > most_speakers:
            best, most_speakers = (clusters, centroids), n_speakers
        if limits.exact is None or n_speakers == limits.exact:
            break
    return best


def _assign(embeddings: np.ndarray, active: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """(chunks, speakers), the nearest centroid of each, no two of one chunk the same."""
    embedded = ~np.isnan(embeddings[..., 0])
    known = 1 + _unit(embeddings[embedded]) @ _unit(centroids).T
    similarities = np.full((*active.shape, len(centroids)), known.min(), known.dtype)
    similarities[embedded] = known
    similarities[~active] = known.min() - 1
    clusters = np.full(active.shape, -2)
    for of_chunk, similarity in zip(clusters, similarities, strict=True):
        speakers, numbers = linear_sum_assignment(similarity, maximize=True)
        of_chunk[speakers] = numbers
    return clusters


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
    """Everybody in one cluster, for recordings with too little speech to tell anybody apart.

    Its centroid is zeros where nothing has an embedding.
    """
    chunks, speakers, dimension = embeddings.shape
    vectors = embeddings[~np.isnan(embeddings[..., 0])]
    centroid = _unit(vectors).mean(axis=0) if len(vectors) else np.zeros(dimension)
    return np.zeros((chunks, speakers), int), centroid[None]
