"""What is said again and again, and loops, by the text and where the decoder looked."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from speech_endpoint.whisper.repetition import n_spoken, repetition_start, settle

pytestmark = pytest.mark.pure
EOT = 5000
PHRASE = [11, 12, 13, 14]


def looking_at(times: list[float]) -> torch.Tensor:
    """Attention weights of one head that looks at one time a token, (1, tokens, 1500)."""
    weights = torch.full((1, len(times), 1500), 1e-4)
    for n, time in enumerate(times):
        weights[0, n, round(time / 0.02) - 4 : round(time / 0.02) + 5] = 0.1
    return weights


def times_of(starts: list[float]) -> list[float]:
    """A time a token of PHRASE, which begins at each of `starts`."""
    return [start + 0.3 * n for start in starts for n in range(len(PHRASE))]


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=12, unique=True), st.integers(0, 20))
def test_repetition_is_found_and_its_first_time_kept(phrase: list[int], lead: int) -> None:
    before = [2000 + n for n in range(lead)]
    assert repetition_start([*before, *phrase * 24]) == lead + len(phrase)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=200, unique=True))
def test_text_that_does_not_repeat_itself_has_none(tokens: list[int]) -> None:
    assert repetition_start(tokens) is None
    assert repetition_start(tokens[:3] * 2) is None


def test_a_phrase_that_is_said_eight_times_is_kept_eight_times() -> None:
    attention = looking_at(times_of([1.0 + 2.5 * n for n in range(8)]))
    settled = settle(PHRASE * 8, attention, 25.0, EOT)
    assert settled == (8 * len(PHRASE), True, True)


@pytest.mark.parametrize("starts", [[3.0] * 8, [14.0, 10.0, 4.0, 9.0, 2.0, 12.0, 1.0, 5.0]])
def test_a_loop_that_looks_nowhere_else_or_anywhere_is_cut_to_its_first_time(
    starts: list[float],
) -> None:
    settled = settle(PHRASE * 8, looking_at(times_of(starts)), 25.0, EOT)
    assert settled == (len(PHRASE), False, False)


def test_what_is_said_five_times_and_goes_on_as_a_loop_is_kept_five_times() -> None:
    starts = [1.0 + 2.5 * n for n in range(5)] + [11.0, 11.0, 11.0]
    settled = settle(PHRASE * 8, looking_at(times_of(starts)), 15.0, EOT)
    assert settled == (5 * len(PHRASE), True, False)


def test_without_alignment_heads_a_repetition_is_a_loop() -> None:
    assert settle(PHRASE * 8, None, 25.0, EOT) == (len(PHRASE), False, False)


def test_text_that_does_not_repeat_itself_stays_whole() -> None:
    assert settle([1, 2, 3, EOT + 1], None, 3.0, EOT) == (4, False, False)


@given(st.floats(0.3, 3.0), st.integers(1, 12))
def test_an_even_pace_is_spoken_and_a_standstill_is_not(step_s: float, n: int) -> None:
    times = [step_s * k for k in range(n)]
    assert n_spoken(times, 2) == n
    assert n_spoken([*times, times[-1], times[-1] + step_s], 2) == n
