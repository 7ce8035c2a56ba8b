"""Words are held inside the voice."""

from __future__ import annotations

import itertools

import hypothesis.strategies as st
from hypothesis import given

from speech_endpoint.audio.vad import Speech
from speech_endpoint.transcript import Word
from speech_endpoint.transcription.word_timing import hold_in_speech, shorten_first_words

VOICED = [Speech(1.0, 2.0), Speech(3.0, 4.0)]


def times(*words: tuple[float, float]) -> list[tuple[float, float]]:
    return [
        (word.start, word.end)
        for word in hold_in_speech([Word(" w", *word) for word in words], VOICED)
    ]


def test_a_word_stretched_over_a_pause_ends_with_the_voice() -> None:
    assert times((1.5, 2.9)) == [(1.5, 2.0)]


def test_the_first_word_of_a_window_begins_with_the_voice() -> None:
    assert times((0.0, 1.4)) == [(1.0, 1.4)]


def test_a_word_across_two_stretches_stays_in_the_one_that_holds_more_of_it() -> None:
    assert times((1.9, 3.5)) == [(3.0, 3.5)]


def test_a_word_in_silence_keeps_its_time() -> None:
    assert times((2.2, 2.6)) == [(2.2, 2.6)]


def test_a_word_without_length_gets_one_where_there_is_room() -> None:
    assert times((1.2, 1.2), (1.22, 1.22), (1.5, 1.6)) == [(1.2, 1.22), (1.22, 1.26), (1.5, 1.6)]


def test_a_first_word_stretched_over_what_somebody_else_said_begins_later() -> None:
    said = [
        Word(" I'm", 0.0, 1.2),
        Word(" not", 1.2, 1.4),
        Word(" sure.", 1.4, 1.7),
        Word(" But", 1.7, 1.9),
    ]
    first, *rest = shorten_first_words(said)
    assert 0.2 < first.start < 1.0
    assert first.end == 1.2
    assert rest == said[1:]


def test_a_sentence_of_one_word_stays() -> None:
    said = [
        Word(" Yes.", 0.0, 1.5),
        Word(" And", 1.5, 1.7),
        Word(" so", 1.7, 1.8),
        Word(" on.", 1.8, 2.0),
    ]
    assert shorten_first_words(said) == said


def test_a_first_word_begins_no_later_than_what_was_heard_within_it() -> None:
    said = [
        Word(" So", 0.0, 5.0),
        Word(" what", 1.0, 1.2),
        Word(" now?", 1.2, 1.4),
        Word(" Oh", 5.0, 5.1),
    ]
    assert [word.start for word in shorten_first_words(said)] == [1.0, 1.0, 1.2, 5.0]


def test_a_word_drawn_out_within_a_sentence_stays() -> None:
    said = [Word(" we", 0.0, 0.2), Word(" so", 0.2, 1.6), Word(" do", 1.6, 1.8)]
    assert shorten_first_words(said) == said


@st.composite
def spoken(draw: st.DrawFn) -> tuple[list[Word], list[Speech]]:
    def intervals(most: int) -> list[tuple[float, float]]:
        borders = sorted(draw(st.lists(st.integers(0, 2000), max_size=most)))
        return [(a / 100, b / 100) for a, b in zip(borders[::2], borders[1::2], strict=False)]

    regions = [Speech(a, b) for a, b in intervals(12) if a < b]
    ends = st.sampled_from(["", "."])
    return [Word(f" {n}{draw(ends)}", a, b) for n, (a, b) in enumerate(intervals(40))], regions


@given(spoken())
def test_words_stay_in_order_and_lose_nothing(case: tuple[list[Word], list[Speech]]) -> None:
    words, voiced = case
    held = shorten_first_words(hold_in_speech(words, voiced))
    assert [word.text for word in held] == [word.text for word in words]
    assert all(word.start <= word.end for word in held)
    assert all(a.start <= b.start for a, b in itertools.pairwise(held))
