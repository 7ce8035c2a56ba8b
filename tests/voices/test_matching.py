"""Names for speakers: one to one, sure enough, or none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_endpoint.voices.matching import MIN_MARGIN, default_threshold, match, voices_by_name

pytestmark = pytest.mark.pure


def at(degrees: float) -> np.ndarray:
    """A voice in the plane: the cosine of two is that of the angle between them."""
    angle = np.radians(degrees)
    return np.array([np.cos(angle), np.sin(angle)], np.float32)


def named(speakers: dict, names: dict, threshold: float = 0.5) -> dict[str, str]:
    return {m.label: m.name for m in match(speakers, names, threshold) if m.matched and m.label}


def test_k4_each_speaker_has_the_name_of_its_voice():
    assert named({"a": at(5), "b": at(95)}, {"Ben": at(90), "Anna": at(0)}) == {
        "a": "Anna",
        "b": "Ben",
    }


def test_k4_a_stranger_stays_a_stranger_and_is_said_to_be_nearest():
    (found,) = match({"a": at(80)}, {"Anna": at(0)}, 0.5)
    assert (found.matched, found.label) == (False, "a")
    assert found.score == pytest.approx(np.cos(np.radians(80)), abs=1e-5)


def test_k4_of_two_speakers_like_one_name_the_nearer_has_it():
    assert named({"a": at(20), "b": at(10)}, {"Anna": at(0)}) == {"b": "Anna"}


def test_k10_who_is_like_two_names_has_neither():
    assert named({"a": at(15)}, {"Anna": at(0), "Ben": at(30)}) == {}
    assert named({"a": at(5)}, {"Anna": at(0), "Ben": at(30)}) == {"a": "Anna"}


def test_k10_of_two_similar_voices_each_has_its_own_name():
    names = {"Anna": at(0), "Ben": at(30)}
    assert named({"a": at(2), "b": at(28)}, names) == {"a": "Anna", "b": "Ben"}


def test_k10_clips_of_one_name_count_together():
    assert voices_by_name([("Anna", at(0)), ("Ben", at(90)), ("Anna", 3 * at(20))])[
        "Anna"
    ] == pytest.approx(at(10), abs=1e-6)


@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 1_000), st.floats(0, 1))
def test_k4_names_are_given_once_above_the_threshold_and_by_a_margin(
    n_speakers: int, n_names: int, seed: int, threshold: float
):
    random = np.random.default_rng(seed)
    speakers = {f"s{n}": random.normal(size=3).astype(np.float32) for n in range(n_speakers)}
    names = {f"n{n}": random.normal(size=3).astype(np.float32) for n in range(n_names)}
    found = match(speakers, names, threshold)
    assert [each.name for each in found] == list(names)
    labels = [each.label for each in found if each.matched]
    assert len(set(labels)) == len(labels)
    for each in found:
        if not each.matched:
            continue
        vector = speakers[each.label] / np.linalg.norm(speakers[each.label])
        scores = {n: float(vector @ v / np.linalg.norm(v)) for n, v in names.items()}
        others = [score for name, score in scores.items() if name != each.name]
        assert scores[each.name] >= threshold - 1e-6
        assert scores[each.name] >= max(others, default=-1) + MIN_MARGIN - 1e-6


def test_the_more_names_the_nearer_a_voice_must_be():
    assert default_threshold(1) == default_threshold(8) == pytest.approx(0.5)
    assert default_threshold(64) == pytest.approx(0.56)
