"""Which local speakers are one person: with unit vectors whose distances are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyannote.core import SlidingWindow, SlidingWindowFeature

from speech_endpoint.diarization.clustering import CoOccurrenceClustering

pytestmark = pytest.mark.pure

DIMENSION = 16
FRAMES = 100


def voice(person: int, seed: int = 0, noise: float = 0.05) -> np.ndarray:
    """(dimension,): a direction for each person, and a little noise."""
    random = np.random.default_rng(seed)
    return np.eye(DIMENSION)[person] + noise * random.standard_normal(DIMENSION)


def chunks_of(
    people: list[list[int | None]], noise: float = 0.05
) -> tuple[np.ndarray, SlidingWindowFeature]:
    """Embeddings and segmentations of chunks in which these people speak one after another."""
    num_columns = len(people[0])
    embeddings = np.full((len(people), num_columns, DIMENSION), np.nan, np.float32)
    active = np.zeros((len(people), FRAMES, num_columns), np.uint8)
    share = FRAMES // num_columns
    for chunk, in_chunk in enumerate(people):
        for column, person in enumerate(in_chunk):
            if person is not None:
                embeddings[chunk, column] = voice(person, chunk * num_columns + column, noise)
                active[chunk, column * share : (column + 1) * share, column] = 1
    window = SlidingWindow(start=0, duration=10, step=1)
    return embeddings, SlidingWindowFeature(active, window)


def cluster(people: list[list[int | None]], num_local_speakers: int = 3, **limits) -> np.ndarray:
    clusters, _, _ = CoOccurrenceClustering(num_local_speakers)(*chunks_of(people), **limits)
    return clusters


def same_partition(clusters: np.ndarray, people: list[list[int | None]]) -> bool:
    pairs = {
        (person, int(number))
        for in_chunk, numbers in zip(people, clusters, strict=True)
        for person, number in zip(in_chunk, numbers, strict=True)
        if person is not None
    }
    return len(pairs) == len({p for p, _ in pairs}) == len({n for _, n in pairs})


TWO_PEOPLE = [[n % 2, None, None] for n in range(30)]


def test_two_distant_groups_are_two_speakers():
    assert same_partition(cluster(TWO_PEOPLE), TWO_PEOPLE)


def test_one_group_is_one_speaker():
    people = [[0, None, None]] * 30
    assert same_partition(cluster(people), people)


def test_the_columns_of_a_person_do_not_matter():
    people = [[n % 2, (n + 1) % 2, None] for n in range(30)]
    assert same_partition(cluster(people), people)


def test_centroids_are_the_mean_directions_of_the_speakers():
    clusters, similarities, centroids = CoOccurrenceClustering(3)(*chunks_of(TWO_PEOPLE))
    assert centroids.shape == (2, DIMENSION) and similarities.shape == (30, 3, 2)
    for person in (0, 1):
        assert centroids[clusters[person, 0]].argmax() == person


def test_later_subtracks_may_be_anybody_in_the_same_chunk():
    """Two sub-tracks of one local speaker, cut by mistake, are still one person."""
    people = [[0, None] for _ in range(30)]
    clusters = cluster(people, num_local_speakers=1)
    assert len(np.unique(clusters[:, 0])) == 1
    twice = [[0, 0] for _ in range(30)]
    assert same_partition(cluster(twice, num_local_speakers=1), twice)


def test_a_local_speaker_without_a_cluster_of_its_own_is_nobody():
    """Two local speakers of one chunk are never the same person."""
    people = [[0, 1, None] for _ in range(30)]
    clusters = cluster(people, num_clusters=1)
    assert {*np.unique(clusters[:, :2])} == {-2, 0}
    assert (clusters[:, 0] != clusters[:, 1]).all()


def test_a_single_embedding_is_one_speaker():
    clusters, _, centroids = CoOccurrenceClustering(3)(*chunks_of([[0, None, None]]))
    assert clusters[0, 0] == 0 and centroids.shape == (1, DIMENSION)


def test_a_stray_embedding_is_no_speaker_in_a_long_recording():
    people: list[list[int | None]] = [[n % 2, None, None] for n in range(120)]
    people[60] = [5, None, None]
    assert len(np.unique(cluster(people)[:, 0])) == 2


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6])
def test_the_number_of_speakers_is_respected(count):
    """Also where it takes one person for several, as far as their embeddings differ at all."""
    people = [[n % 3, None, None] for n in range(45)]
    clustering = CoOccurrenceClustering(3)
    clusters, _, _ = clustering(*chunks_of(people, noise=0.12), num_clusters=count)
    assert len(np.unique(clusters[:, 0])) == count


@given(st.permutations(list(range(30))), st.integers(2, 5))
@settings(deadline=None, max_examples=40)
def test_speakers_far_apart_are_found_in_any_order(order, num_people):
    people = [[n % num_people, None, None] for n in order]
    assert same_partition(cluster(people), people)
