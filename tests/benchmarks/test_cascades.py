"""Two systems made one."""

from __future__ import annotations

import pytest

from benchmarks.cascades import combine
from benchmarks.metrics import Hypothesis
from benchmarks.run import Result
from speech_endpoint.transcript import SpeakerTurn, Word

pytestmark = pytest.mark.pure

WORDS = (Word("a", 0.0, 1.0), Word("b", 1.9, 2.4), Word("c", 8.0, 9.0))
TURNS = (SpeakerTurn("x", 0.0, 2.0), SpeakerTurn("y", 2.0, 4.0))


def result(seconds: list[float], found: Hypothesis, peak_mib: float) -> Result:
    return Result(seconds, True, 10.0, [found], peak_mib)


def test_words_go_to_whom_they_overlap_most_or_else_to_the_nearest() -> None:
    words = result([1.0, 3.0], Hypothesis("abc", WORDS), 900.0)
    both = combine(words, result([10.0, 10.0], Hypothesis("", (), TURNS, TURNS), 700.0))
    assert [word.speaker for word in both.hypotheses[0].words] == ["x", "y", "y"]
    assert both.hypotheses[0].turns == TURNS


def test_seconds_add_up_and_the_larger_process_counts() -> None:
    words = result([1.0, 3.0], Hypothesis("abc", WORDS), 900.0)
    both = combine(words, result([10.0, 20.0], Hypothesis("", (), TURNS, TURNS), 700.0))
    assert (both.seconds, both.rounds, both.peak_mib) == ([11.0, 23.0], "2", 900.0)


def test_where_nobody_speaks_words_are_nobodys() -> None:
    both = combine(result([1.0], Hypothesis("abc", WORDS), 1.0), result([1.0], Hypothesis(), 1.0))
    assert both.hypotheses[0].words == WORDS
