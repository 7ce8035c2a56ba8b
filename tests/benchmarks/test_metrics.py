"""The figures by which systems are compared."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import metrics
from benchmarks.metrics import Utterance
from speech_endpoint.transcript import SpeakerTurn, Word

pytestmark = pytest.mark.pure

ANN_THEN_BOB = (SpeakerTurn("ann", 0.0, 10.0), SpeakerTurn("bob", 10.0, 20.0))


def word(text: str, start: float, speaker: str | None = None) -> Word:
    return Word(f" {text}", start, start + 0.5, speaker=speaker)


@st.composite
def attributed_words(draw: st.DrawFn) -> list[Word]:
    starts = draw(st.lists(st.floats(0, 19), max_size=12))
    speakers = st.sampled_from(["x", "y", "z"])
    return [word("w", start, draw(speakers)) for start in sorted(starts)]


def test_spelling_and_punctuation_are_no_errors() -> None:
    assert metrics.normalise("Colour, isn't it? Twenty-one.") == metrics.normalise(
        "color is not it 21"
    )


def test_languages_without_spaces_are_compared_letter_by_letter() -> None:
    assert metrics.normalise("你好。", "zh").split() == ["你", "好"]


def test_word_errors_are_counted_over_all_texts() -> None:
    errors = metrics.word_errors([("a b c", "a x c"), ("d", "d e"), ("f g", "f")])
    assert (errors.substitutions, errors.insertions, errors.deletions) == (1, 1, 1)
    assert errors.wer == pytest.approx(3 / 6)


def test_speakers_names_do_not_matter_to_der_and_jer() -> None:
    renamed = [SpeakerTurn("1", 0.0, 10.0), SpeakerTurn("2", 10.0, 20.0)]
    assert metrics.diarization_error_rates(ANN_THEN_BOB, renamed, 20.0) == (0.0, 0.0)


def test_der_weighs_speech_and_jer_weighs_speakers() -> None:
    reference = [SpeakerTurn("ann", 0.0, 15.0), SpeakerTurn("bob", 15.0, 20.0)]
    without_bob = [SpeakerTurn("1", 0.0, 15.0)]
    der, jer = metrics.diarization_error_rates(reference, without_bob, 20.0)
    assert der == pytest.approx(5 / 20)
    assert jer == pytest.approx((0 + 1) / 2)


def test_a_collar_forgives_on_either_side_of_a_border() -> None:
    late = [SpeakerTurn("1", 0.0, 10.2), SpeakerTurn("2", 10.2, 20.0)]
    early = [SpeakerTurn("1", 0.0, 9.8), SpeakerTurn("2", 9.8, 20.0)]
    for hypothesis in (late, early):
        assert metrics.diarization_error_rates(ANN_THEN_BOB, hypothesis, 20.0)[0] > 0.0
        assert metrics.diarization_error_rates(ANN_THEN_BOB, hypothesis, 20.0, 0.25)[0] == 0.0
        assert metrics.diarization_error_rates(ANN_THEN_BOB, hypothesis, 20.0, 0.15)[0] > 0.0


def test_missing_speakers_are_negative() -> None:
    assert metrics.speaker_count_error(ANN_THEN_BOB, ANN_THEN_BOB[:1]) == -1
    assert metrics.speaker_count_error(ANN_THEN_BOB[:1], ANN_THEN_BOB) == 1


def test_a_word_of_the_wrong_speaker_and_a_word_where_nobody_speaks_are_wrong() -> None:
    said = [word("a", 1, "1"), word("b", 2, "1"), word("c", 12, "2"), word("d", 13, "2")]
    assert metrics.word_speaker_accuracy(ANN_THEN_BOB, said) == 1.0
    misplaced = [*said[:3], word("d", 13, "1")]
    assert metrics.word_speaker_accuracy(ANN_THEN_BOB, misplaced) == 0.75
    hallucinated = [*said[:3], word("d", 25, "2")]
    assert metrics.word_speaker_accuracy(ANN_THEN_BOB, hallucinated) == 0.75


def test_a_word_may_lie_a_little_outside_its_speakers_turn() -> None:
    middle_at = [(19.7 + 0.25, 1.0), (20.0 + 0.2, 1.0), (20.0 + 0.3, 0.0)]
    for middle, accuracy in middle_at:
        said = [word("a", middle - 0.25, "1")]
        assert metrics.word_speaker_accuracy(ANN_THEN_BOB, said) == accuracy, middle


def test_no_words_have_no_right_speaker() -> None:
    assert metrics.word_speaker_accuracy(ANN_THEN_BOB, []) == 0.0


@given(attributed_words())
def test_speakers_names_do_not_matter_to_words(words: list[Word]) -> None:
    names = {"x": "c", "y": "a", "z": "b"}
    renamed = [word("w", one.start, names[str(one.speaker)]) for one in words]
    accuracy = metrics.word_speaker_accuracy(ANN_THEN_BOB, words)
    assert 0.0 <= accuracy <= 1.0
    assert metrics.word_speaker_accuracy(ANN_THEN_BOB, renamed) == accuracy


@given(attributed_words())
def test_utterances_have_every_word_once_and_no_long_pause(words: list[Word]) -> None:
    found = metrics.utterances(words)
    assert sum(len(one.text.split()) for one in found) == len(words)
    for before, after in itertools.pairwise(found):
        pause_s = after.start - before.end
        assert before.speaker != after.speaker or pause_s >= metrics.MIN_UTTERANCE_PAUSE_S


def test_a_word_given_to_another_counts_twice_in_cp_wer() -> None:
    reference = [Utterance("ann", 0.0, 10.0, "red green blue"), Utterance("bob", 10.0, 20.0, "dog")]
    said = [word("red", 1, "1"), word("green", 2, "1"), word("blue", 3, "1"), word("dog", 12, "2")]
    assert metrics.speaker_word_error_rates(reference, said, "en") == (0.0, 0.0)
    misplaced = [*said[:2], word("blue", 3, "2"), said[3]]
    cp_wer, _ = metrics.speaker_word_error_rates(reference, misplaced, "en")
    assert cp_wer == pytest.approx(2 / 4)


def test_only_tcp_wer_asks_when_a_word_is_said() -> None:
    reference = [Utterance("ann", 0.0, 1.0, "hello")]
    cp_wer, tcp_wer = metrics.speaker_word_error_rates(reference, [word("hello", 30, "1")], "en")
    assert cp_wer == 0.0
    assert tcp_wer > 0.0


def test_no_words_are_all_wrong() -> None:
    reference = [Utterance("ann", 0.0, 1.0, "hello")]
    assert metrics.speaker_word_error_rates(reference, [], "en") == (1.0, 1.0)


def test_late_borders_are_positive_and_early_ones_negative() -> None:
    turns = [SpeakerTurn("ann", 1.0, 4.0), SpeakerTurn("bob", 6.0, 9.0)]
    said = [Word("a", 1.1, 4.2), Word("b", 5.8, 8.9)]
    starts = metrics.border_errors_s(turns, said, "start")
    ends = metrics.border_errors_s(turns, said, "end")
    assert starts == pytest.approx((0.1, -0.2))
    assert ends == pytest.approx((0.2, -0.1))


def test_borders_that_nobody_hears_are_left_out() -> None:
    said = [Word("a", 1.0, 2.0)]
    within_another = [SpeakerTurn("ann", 0.0, 10.0), SpeakerTurn("bob", 4.0, 6.0)]
    assert len(metrics.border_errors_s(within_another, said, "start")) == 1
    abutting = [SpeakerTurn("ann", 0.0, 5.0), SpeakerTurn("ann", 5.1, 10.0)]
    assert len(metrics.border_errors_s(abutting, said, "start")) == 1
    assert len(metrics.border_errors_s(abutting, said, "end")) == 1


def test_no_words_have_no_borders() -> None:
    assert metrics.border_errors_s(ANN_THEN_BOB, [], "start") == ()
