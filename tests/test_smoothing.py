"""Words return to the sentence that they belong to: examples with names, then properties."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st

from speech_endpoint.attribution import nearest_speakers, smooth_speakers
from speech_endpoint.transcript import SpeakerTurn, Word

pytestmark = pytest.mark.pure

A, B, C = "Anna", "Ben", "Cem"


def spoken(*words: tuple[str, float, float, str]) -> list[Word]:
    return [Word(text, start, end, speaker=speaker) for text, start, end, speaker in words]


def speakers(words: Sequence[Word]) -> list[str | None]:
    return [word.speaker for word in words]


def test_an_island_inside_a_flowing_sentence_is_mended():
    words = spoken((" how", 0.0, 0.2, A), (" are", 0.2, 0.4, B), (" you", 0.4, 0.6, A))
    assert speakers(smooth_speakers(words, [])) == [A, A, A]


def test_an_abbreviation_sets_no_word_off():
    words = spoken((" by", 0.0, 0.2, A), (" Mr.", 0.2, 0.4, B), (" Smith", 0.4, 0.6, A))
    assert speakers(smooth_speakers(words, [])) == [A, A, A]


def test_a_back_channel_keeps_its_speaker():
    by_punctuation = spoken((" so,", 0.0, 0.2, A), (" mhm,", 0.2, 0.4, B), (" then", 0.4, 0.6, A))
    by_pause = spoken((" so", 0.0, 0.2, A), (" mhm", 0.6, 0.8, B), (" then", 1.2, 1.4, A))
    assert speakers(smooth_speakers(by_punctuation, [])) == [A, B, A]
    assert speakers(smooth_speakers(by_pause, [])) == [A, B, A]


def test_a_word_at_the_border_returns_to_its_sentence():
    last = spoken((" are", 0.0, 0.2, A), (" you?", 0.2, 0.4, B), (" Fine.", 0.6, 0.9, B))
    first = spoken((" Thanks.", 0.0, 0.2, A), (" And", 0.4, 0.6, A), (" you", 0.6, 0.9, B))
    assert speakers(smooth_speakers(last, [])) == [A, A, B]
    assert speakers(smooth_speakers(first, [])) == [A, B, B]


def handed_over(at: float, *, begins: str = " And", last: str = " Jersey.") -> list[str | None]:
    """Who says each of four words, the second and third of which are before the hand-over."""
    words = [
        Word(last, 0.0, 0.9), Word(begins, 0.9, 1.0), Word(" I'm", 1.0, 1.3), Word(" Ben", 1.3, 1.6)
    ]  # fmt: skip
    turns = [SpeakerTurn(A, 0.0, at), SpeakerTurn(B, at, 2.0)]
    return speakers(smooth_speakers(nearest_speakers(words, turns), turns))


def test_two_words_that_begin_a_sentence_go_to_whoever_talks_before_they_end():
    assert handed_over(1.2) == [A, B, B, B]


def test_two_words_stay_where_the_next_speaker_is_not_heard_before_they_end():
    assert handed_over(1.3) == [A, A, A, B]


def test_two_words_stay_where_a_sentence_or_a_clause_says_so():
    assert handed_over(1.2, last=" Jersey") == [A, A, A, B]
    assert handed_over(1.2, begins=" Well,") == [A, A, A, B]


def test_two_words_go_to_nobody_who_interrupts_whoever_began():
    words = spoken(
        (" Yes.", 0.0, 0.9, A), (" And", 0.9, 1.0, C), (" I'm", 1.0, 1.3, C), (" Ben", 1.3, 1.6, B)
    )  # fmt: skip
    turns = [SpeakerTurn(A, 0.0, 0.9), SpeakerTurn(C, 0.9, 1.2), SpeakerTurn(B, 1.2, 2.0)]
    assert speakers(smooth_speakers(words, turns)) == [A, C, C, B]


@given(st.lists(strategies.words, max_size=8), strategies.turn_lists)
def test_smoothing_changes_nothing_but_speakers_and_invents_none(words, turns):
    labelled = nearest_speakers(words, turns)
    smoothed = smooth_speakers(labelled, turns)
    assert [(w.text, w.start, w.end) for w in smoothed] == [(w.text, w.start, w.end) for w in words]
    assert set(speakers(smoothed)) <= set(speakers(labelled))
