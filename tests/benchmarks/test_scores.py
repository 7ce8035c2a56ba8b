"""The cells of a report, where there is something to say and where there is not."""

from __future__ import annotations

import pytest

from benchmarks.corpus import NO_SPEECH, UTTERANCE, Clip, wav
from benchmarks.metrics import Hypothesis
from benchmarks.scores import COLUMNS, DASH, cell, pooled, score
from benchmarks.signals import signal

pytestmark = pytest.mark.pure


@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_without_figures_has_a_dash(column: str) -> None:
    assert cell(column, {}) == DASH
    assert cell(column, pooled([])) == DASH


@pytest.mark.parametrize("column", COLUMNS)
def test_a_recording_without_speech_has_words_at_most(column: str) -> None:
    scores = score(Clip("tone", NO_SPEECH, lambda: wav(signal("tone"))), Hypothesis(" so so"))
    assert cell(column, scores) == ("2" if column == "words" else DASH)


def test_word_errors_of_several_recordings_are_summed() -> None:
    clip = Clip("made", UTTERANCE, bytes, text="One dog barked.")
    scores = pooled(score(clip, Hypothesis(text)) for text in ("1 dog barked", "a dog", ""))
    assert [cell(column, scores) for column in ("ins.", "del.", "sub.")] == ["0", "4", "1"]
    assert cell("WER", scores) == f"{5 / 9:.3f}"
    assert cell("words", scores) == "5"


def test_speakers_too_many_have_a_sign_and_several_a_mean() -> None:
    assert cell("speakers ±", {"speakers ±": (-2,)}) == "-2"
    assert cell("speakers ±", {"speakers ±": (-2, 1)}) == "1.50"


def test_borders_are_pooled_by_their_distance() -> None:
    assert cell("start, median s", pooled([{"start": (-0.3, 0.1)}, {"start": (0.2,)}])) == "0.200"
