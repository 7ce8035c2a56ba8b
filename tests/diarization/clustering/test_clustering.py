"""Which local speakers are one speaker: with unit vectors whose distances are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speech_endpoint.diarization.clustering.clustering import cluster_columns
from speech_endpoint.diarization.limits import SpeakerLimits

pytestmark = pytest.mark.pure

DIMENSION = 16
FRAMES = 100


def embedding_of(speaker: int, seed: int = 0, noise: float = 0.05) -> np.ndarray:
    """(dimension,): a direction for each speaker, and a little noise."""
    random = np.random.default_rng(seed)
    return np.eye(DIMENSION)[speaker] + noise * random.standard_normal(DIMENSION)


def chunks_of(
    speakers: list[list[int | None]], noise: float = 0.05
) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings and tracks of chunks in which these speakers talk one after another."""
    n_columns = len(speakers[0])
    embeddings = np.full((len(speakers), n_columns, DIMENSION), np.nan, np.float32)
    active = np.zeros((len(speakers), FRAMES, n_columns), np.uint8)
    share = FRAMES // n_columns
    for chunk, of_chunk in enumerate(speakers):
        for column, speaker in enumerate(of_chunk):
            if speaker is not None:
                embeddings[chunk, column] = embedding_of(speaker, chunk * n_columns + column, noise)
                active[chunk, column * share : (column + 1) * share, column] = 1
    return embeddings, active


def cluster(
    speakers: list[list[int | None]],
    n_local_speakers: int = 3,
    num_clusters: int | None = None,
    noise: float = 0.05,
) -> np.ndarray:
    limits = SpeakerLimits.of(num_clusters, None, None)
    clusters, _ = cluster_columns(*chunks_of(speakers, noise), n_local_speakers, limits)
    return clusters


def same_partition(clusters: np.ndarray, speakers: list[list[int | None]]) -> bool:
    pairs = {
        (speaker, int(number))
        for of_chunk, numbers in zip(speakers, clusters, strict=True)
        for speaker, number in zip(of_chunk, numbers, strict=True)
        if speaker is not None
    }
    return len(pairs) == len({p for p, _ in pairs}) == len({n for _, n in pairs})


TWO_SPEAKERS = [[n % 2, None, None] for n in range(30)]


def test_two_distant_groups_are_two_speakers():
    assert same_partition(cluster(TWO_SPEAKERS), TWO_SPEAKERS)


def test_one_group_is_one_speaker():
    speakers = [[0, None, None]] * 30
    assert same_partition(cluster(speakers), speakers)


def test_the_columns_of_a_speaker_do_not_matter():
    speakers = [[n % 2, (n + 1) % 2, None] for n in range(30)]
    assert same_partition(cluster(speakers), speakers)


def test_centroids_are_the_mean_directions_of_the_speakers():
    clusters, centroids = cluster_columns(*chunks_of(TWO_SPEAKERS), 3, SpeakerLimits())
    assert centroids.shape == (2, DIMENSION)
    for speaker in (0, 1):
        assert centroids[clusters[speaker, 0]].argmax() == speaker


def test_later_subtracks_may_be_anybody_in_the_same_chunk():
    """Two sub-tracks of one local speaker, cut by mistake, are still one speaker."""
    speakers = [[0, None] for _ in range(30)]
    clusters = cluster(speakers, n_local_speakers=1)
    assert len(np.unique(clusters[:, 0])) == 1
    twice = [[0, 0] for _ in range(30)]
    assert same_partition(cluster(twice, n_local_speakers=1), twice)


def test_a_local_speaker_without_a_cluster_of_its_own_is_nobody():
    """Two local speakers of one chunk are never the same speaker."""
    speakers = [[0, 1, None] for _ in range(30)]
    clusters = cluster(speakers, num_clusters=1)
    assert {*np.unique(clusters[:, :2])} == {-2, 0}
    assert (clusters[:, 0] != clusters[:, 1]).all()


def test_a_single_embedding_is_one_speaker():
    clusters, centroids = cluster_columns(*chunks_of([[0, None, None]]), 3, SpeakerLimits())
    assert clusters[0, 0] == 0 and centroids.shape == (1, DIMENSION)


def test_a_stray_embedding_is_no_speaker_in_a_long_recording():
    speakers: list[list[int | None]] = [[n % 2, None, None] for n in range(120)]
    speakers[60] = [5, None, None]
    assert len(np.unique(cluster(speakers)[:, 0])) == 2


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_number_of_speakers_is_respected(count):
    speakers = [[n % 3, None, None] for n in range(45)]
    clusters = cluster(speakers, num_clusters=count)
    assert len(np.unique(clusters[:, 0])) == count


@pytest.mark.parametrize("count", [4, 6, 100])
def test_no_voice_is_torn_apart_for_the_number_of_speakers(count):
    speakers = [[n % 3, None, None] for n in range(45)]
    assert same_partition(cluster(speakers, num_clusters=count, noise=0.12), speakers)


def test_whoever_says_little_is_found_where_one_more_is_asked_for():
    speakers: list[list[int | None]] = [[n % 2, None, None] for n in range(120)]
    speakers[60] = speakers[61] = [5, None, None]
    assert same_partition(cluster(speakers, num_clusters=3), speakers)


@given(st.permutations(list(range(30))), st.integers(2, 5))
@settings(deadline=None, max_examples=40)
def test_speakers_far_apart_are_found_in_any_order(order, n_speakers):
    speakers = [[n % n_speakers, None, None] for n in order]
    assert same_partition(cluster(speakers), speakers)
