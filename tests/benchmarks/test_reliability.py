"""Whether what is said with a confidence is right as often."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.reliability import (
    area_under_roc,
    expected_calibration_error,
    judge_words,
    reliability_bins,
)
from speech_endpoint.transcript import Word

pytestmark = pytest.mark.pure

PAIRS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50)


def verdicts(reference: str, *texts: str) -> list[bool]:
    words = [Word(f" {text}", n, n + 0.5) for n, text in enumerate(texts)]
    return [right for _, right in judge_words(reference, words, "en")]


@given(PAIRS, st.integers(1, 12), st.booleans())
def test_everything_is_in_one_bin_and_errors_are_shares(
    pairs: list[tuple[float, bool]], n_bins: int, equal_mass: bool
) -> None:
    said, right = zip(*pairs, strict=True)
    bins = reliability_bins(said, right, n_bins, equal_mass=equal_mass)
    assert sum(one.count for one in bins) == len(pairs)
    for one in bins:
        if one.count:
            assert one.low - 1e-9 <= one.confidence <= one.high + 1e-9
    error = expected_calibration_error(said, right, n_bins, equal_mass=equal_mass)
    # Within a bin, distances can cancel; between bins they cannot.
    assert abs(np.mean(said) - np.mean(right)) - 1e-9 <= error <= 1.0 + 1e-9


def test_bins_have_the_same_width_or_hold_as_many() -> None:
    said, right = [0.05, 0.9, 0.95, 1.0], [False, True, False, True]
    assert [one.count for one in reliability_bins(said, right, 2)] == [1, 3]
    assert [one.count for one in reliability_bins(said, right, 2, equal_mass=True)] == [2, 2]
    expected = (0.05 + 3 * abs(0.95 - 2 / 3)) / 4
    assert expected_calibration_error(said, right, 2) == pytest.approx(expected)


def test_what_is_right_as_often_as_it_says_has_no_error() -> None:
    assert expected_calibration_error([0.75] * 4, [True, True, False, True]) == 0.0
    assert expected_calibration_error([1.0] * 4, [False] * 4) == 1.0
    assert math.isnan(expected_calibration_error([], []))


# The first example imports scipy.
@settings(deadline=None)
@given(PAIRS)
def test_only_the_order_of_confidences_matters_to_the_area(
    pairs: list[tuple[float, bool]],
) -> None:
    said, right = zip(*pairs, strict=True)
    area = area_under_roc(said, right)
    won = [(a > b) + (a == b) / 2 for a, is_a in pairs for b, is_b in pairs if is_a and not is_b]
    if won:
        assert area == pytest.approx(np.mean(won))
    else:
        assert math.isnan(area)


def test_words_are_judged_as_word_errors_are() -> None:
    assert verdicts("the cat sat", "The", "cat", "sat.") == [True] * 3
    assert verdicts("the cat sat", "The", "hat", "sat", "down.") == [True, False, True, False]
    assert verdicts("it is not my colour", "It's", "not", "my", "color!") == [True] * 4


def test_words_that_make_one_number_share_its_verdict() -> None:
    assert verdicts("21 dogs", "Twenty", "one", "dogs") == [True] * 3
    assert verdicts("22 dogs", "Twenty", "one", "dogs") == [False, False, True]


def test_what_is_no_word_after_normalisation_is_not_judged() -> None:
    assert verdicts("yes", "Um,", "yes.", "-") == [True]
    assert verdicts("", "yes") == [False]
    assert verdicts("yes") == []
