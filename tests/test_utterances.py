"""What a speaker says in one go."""

from __future__ import annotations

import itertools

import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st

from speech_endpoint.transcript import Word
from speech_endpoint.utterances import MIN_PAUSE_S, utterances

pytestmark = pytest.mark.pure


def test_an_utterance_ends_with_its_sentence_or_before_a_pause() -> None:
    words = [
        Word(" Ask", 0.0, 0.3),
        Word(" Mr.", 0.3, 0.5),
        Word(" Smith.", 0.5, 0.9),
        Word(" He", 1.0, 1.2),
        Word(" knows", 1.9, 2.2),
    ]
    texts = ["".join(word.text for word in utterance) for utterance in utterances(words)]
    assert texts == [" Ask Mr. Smith.", " He", " knows"]


@given(st.lists(strategies.words, max_size=12))
def test_utterances_hold_every_word_in_order_and_no_pause(words) -> None:
    words = sorted(words, key=lambda word: word.start)
    found = utterances(words)
    assert [word for utterance in found for word in utterance] == words
    for utterance in found:
        for before, after in itertools.pairwise(utterance):
            assert after.start - before.end < MIN_PAUSE_S
