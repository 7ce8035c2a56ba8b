"""Words stay where speech is, in order; corrected in runs they come out as all at once."""

from __future__ import annotations

import itertools
import statistics

import hypothesis.strategies as st
import pytest
from hypothesis import given

from speech_endpoint.intervals import Interval
from speech_endpoint.transcript import Word
from speech_endpoint.transcription.word_timing import (
    MAX_FIRST_WORD_RATIO,
    MIN_WORD_S,
    SpeakingPace,
    clamp_to_speech,
    correct_times,
    shorten_first_words,
)

pytestmark = pytest.mark.pure

VOICED = [Interval(1.0, 2.0), Interval(3.0, 4.0)]
PACE_S = 0.06


def clamped(*times: tuple[float, float]) -> list[tuple[float, float]]:
    words = clamp_to_speech([Word(" w", start, end) for start, end in times], VOICED)
    return [(word.start, word.end) for word in words]


def test_a_word_stretched_over_a_pause_ends_with_the_speech() -> None:
    assert clamped((1.5, 2.9)) == [(1.5, 2.0)]


def test_the_first_word_of_a_window_begins_with_the_speech() -> None:
    assert clamped((0.0, 1.4)) == [(1.0, 1.4)]


def test_a_word_across_two_segments_stays_in_the_one_that_holds_more_of_it() -> None:
    assert clamped((1.9, 3.5)) == [(3.0, 3.5)]
    assert clamped((1.5, 3.5)) == [(1.5, 2.0)]


def test_a_word_in_silence_keeps_its_time() -> None:
    assert clamped((2.2, 2.6)) == [(2.2, 2.6)]


def test_a_word_never_starts_before_the_one_before_it() -> None:
    assert clamped((1.5, 3.5), (1.6, 1.8)) == [(1.5, 2.0), (1.6, 1.8)]
    assert clamped((1.9, 3.5), (1.95, 2.0)) == [(3.0, 3.5), (3.0, 3.0)]


def test_a_word_without_length_gets_one_where_there_is_room() -> None:
    assert clamped((1.2, 1.2), (1.22, 1.22), (1.5, 1.6)) == [(1.2, 1.22), (1.22, 1.26), (1.5, 1.6)]


def test_a_first_word_stretched_over_what_somebody_else_says_begins_later() -> None:
    first, *rest = words = [
        Word(" I'm", 0.0, 1.2),
        Word(" not", 1.2, 1.4),
        Word(" sure.", 1.4, 1.7),
        Word(" But", 1.7, 1.9),
    ]
    shortened, *others = shorten_first_words(words, PACE_S)
    assert shortened.start == pytest.approx(1.2 - MAX_FIRST_WORD_RATIO * PACE_S * 3)
    assert shortened.end == first.end
    assert others == rest


def test_a_first_word_keeps_its_time_where_the_pace_is_unknown() -> None:
    words = [Word(" I'm", 0.0, 9.0), Word(" here.", 9.0, 9.0)]
    assert shorten_first_words(words, SpeakingPace().median_s) == words


def test_a_sentence_of_one_word_keeps_its_time() -> None:
    words = [Word(" Yes.", 0.0, 5.0), Word(" And", 5.0, 5.2), Word(" so.", 5.2, 5.3)]
    assert shorten_first_words(words, PACE_S) == words


def test_a_first_word_begins_no_later_than_the_next_one() -> None:
    words = [Word(" So", 0.0, 5.0), Word(" what", 1.0, 1.2), Word(" now?", 1.2, 1.4)]
    assert [word.start for word in shorten_first_words(words, PACE_S)] == [1.0, 1.0, 1.2]


def test_a_word_drawn_out_within_a_sentence_keeps_its_time() -> None:
    words = [Word(" we", 0.0, 0.2), Word(" so", 0.2, 9.0), Word(" do", 9.0, 9.2)]
    assert shorten_first_words(words, PACE_S) == words
    # Nor does it become a first word by coming first in a run.
    assert shorten_first_words(words[1:], PACE_S, words[0]) == words[1:]
    assert shorten_first_words(words[1:], PACE_S)[0].start > 8.0


@st.composite
def spans(draw: st.DrawFn, max_spans: int) -> list[tuple[float, float]]:
    """Spans of up to 3 s in order of their starts, in steps of 20 ms as the model's times are."""
    steps = draw(st.lists(st.tuples(st.integers(-20, 60), st.integers(0, 150)), max_size=max_spans))
    starts = itertools.accumulate((max(0, hop) for hop, _ in steps), initial=0)
    return [(start / 50, (start + n) / 50) for start, (_, n) in zip(starts, steps, strict=False)]


words_in_order = st.builds(
    lambda times, texts: [
        Word(text, *time) for time, text in zip(times, itertools.cycle(texts), strict=False)
    ],
    spans(40),
    st.lists(st.sampled_from([" a", " sentence", " of", " words."]), min_size=1, max_size=20),
)
speech = spans(15).map(
    lambda times: [
        Interval(start, min(end, next_start))
        for (start, end), (next_start, _) in itertools.pairwise(times)
        if min(end, next_start) > start
    ]
)


@given(words_in_order, speech)
def test_corrected_words_stay_in_order_and_lose_nothing(
    words: list[Word], voiced: list[Interval]
) -> None:
    corrected = correct_times(words, voiced, SpeakingPace())
    assert [word.text for word in corrected] == [word.text for word in words]
    assert all(word.start <= word.end for word in corrected)
    assert all(a.start <= b.start for a, b in itertools.pairwise(corrected))


@given(words_in_order, speech)
def test_only_the_next_word_keeps_a_word_shorter_than_the_minimum(
    words: list[Word], voiced: list[Interval]
) -> None:
    for word, following in itertools.pairwise(clamp_to_speech(words, voiced)):
        assert word.end - word.start > MIN_WORD_S - 1e-9 or word.end >= following.start


@given(st.lists(words_in_order, max_size=4))
def test_the_pace_is_the_median_over_all_words_so_far(runs: list[list[Word]]) -> None:
    pace = SpeakingPace()
    seconds_per_character: list[float] = []
    for words in runs:
        pace.add(words)
        seconds_per_character += [
            (word.end - word.start) / max(3, len(word.text.strip()))
            for word in words
            if word.end - word.start > MIN_WORD_S
        ]
        if seconds_per_character:
            assert pace.median_s == statistics.median(seconds_per_character)
        else:
            assert pace.median_s is None


@given(words_in_order, speech, st.sets(st.integers(1, 39)))
def test_words_corrected_in_runs_come_out_as_all_at_once(
    words: list[Word], voiced: list[Interval], borders: set[int]
) -> None:
    """Each run by the pace up to its end, which is all that a run can know."""
    all_clamped = clamp_to_speech(words, voiced)
    pace, pace_so_far = SpeakingPace(), SpeakingPace()
    previous: Word | None = None
    for first, last in itertools.pairwise([0, *sorted(borders), 40]):
        run = words[first:last]
        following = words[last] if last < len(words) else None
        corrected = correct_times(run, voiced, pace, previous=previous, following=following)
        pace_so_far.add(all_clamped[first:last])
        assert corrected == shorten_first_words(all_clamped, pace_so_far.median_s)[first:last]
        previous = corrected[-1] if corrected else previous
