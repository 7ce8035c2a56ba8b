"""Which embeddings are one speaker's: with unit vectors whose distances are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speech_endpoint.diarization.clustering.agglomeration import (
    SAME_SPEAKER_DISTANCE,
    cluster_members,
)
from speech_endpoint.diarization.limits import SpeakerLimits

pytestmark = pytest.mark.pure

DIMENSION = 16


def embedding_of(speaker: int, seed: int = 0, noise: float = 0.05) -> np.ndarray:
    """(dimension,): a direction for each speaker, and a little noise."""
    random = np.random.default_rng(seed)
    return np.eye(DIMENSION)[speaker] + noise * random.standard_normal(DIMENSION)


def alike(co_occur: bool) -> list[np.ndarray]:
    """Members of clusters of two speakers a little closer than SAME_SPEAKER_DISTANCE."""
    cosine = 1 - SAME_SPEAKER_DISTANCE + 0.05
    directions = np.array([[1, 0], [cosine, np.sqrt(1 - cosine**2)]])
    chunks = np.repeat(np.arange(20), 2) if co_occur else np.arange(40)
    return cluster_members(np.tile(directions, (20, 1)), chunks, 40, SpeakerLimits())


def test_similar_embeddings_are_one_speaker_unless_they_occur_in_the_same_chunks():
    assert len(alike(co_occur=False)) == 1
    assert sorted(map(len, alike(co_occur=True))) == [20, 20]


@given(
    st.lists(st.integers(0, 4), min_size=2, max_size=40),
    st.integers(1, 6),
    st.integers(0, 4),
    st.integers(0, 2**16),
)
@settings(deadline=None, max_examples=60)
def test_limits_hold_and_members_are_disjoint(speakers, min_clusters, extra, seed):
    vectors = np.stack([embedding_of(speaker, seed + n) for n, speaker in enumerate(speakers)])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    n = len(vectors)
    low = min(min_clusters, len(set(speakers)))
    high = low + extra
    members = cluster_members(vectors, np.arange(n), n, SpeakerLimits.of(None, low, high))
    assert low <= len(members) <= high
    indices = np.concatenate(members)
    assert len(np.unique(indices)) == len(indices) and set(indices) <= set(range(n))
    assert [len(m) for m in members] == sorted((len(m) for m in members), reverse=True)
