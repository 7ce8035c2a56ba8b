"""The figure by which embeddings are compared."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.embedding import equal_error_rate

pytestmark = pytest.mark.pure


def test_voices_that_are_told_apart_make_no_error() -> None:
    similarities = np.r_[np.linspace(0.6, 1, 100), np.linspace(0, 0.4, 100)]
    rate, at = equal_error_rate(similarities, np.arange(200) < 100)
    assert rate == pytest.approx(0, abs=0.01) and 0.4 <= at <= 0.61


def test_voices_that_are_all_alike_are_guessed() -> None:
    random = np.random.default_rng(0)
    rate, _ = equal_error_rate(random.random(4000), random.random(4000) < 0.3)
    assert rate == pytest.approx(0.5, abs=0.05)


def test_a_tenth_confused_on_either_side_is_a_tenth() -> None:
    same = np.r_[np.linspace(0.6, 1, 90), np.linspace(0, 0.2, 10)]
    other = np.r_[np.linspace(0, 0.4, 90), np.linspace(0.8, 1, 10)]
    rate, _ = equal_error_rate(np.r_[same, other], np.arange(200) < 100)
    assert rate == pytest.approx(0.1, abs=0.011)
