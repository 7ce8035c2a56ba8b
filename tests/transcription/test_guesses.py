"""What Whisper writes where it understands nothing."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from speech_endpoint.transcript import Word
from speech_endpoint.transcription.guesses import MIN_PROBABILITY, without_guesses

pytestmark = pytest.mark.pure

SURE, UNSURE = 0.9, MIN_PROBABILITY - 0.05


def words(text: str, probability: float) -> list[Word]:
    return [Word(f" {one}", n, n + 1, probability) for n, one in enumerate(text.split())]


def text(found: list[Word]) -> str:
    return "".join(word.text for word in found).strip()


@pytest.mark.parametrize(
    "phrase", ["Thank you.", "you", "Thanks for watching!", "Bye-bye.", "谢谢观看"]
)
def test_a_stock_phrase_is_left_out_where_the_model_is_unsure(phrase: str) -> None:
    assert without_guesses(words(phrase, UNSURE)) == []
    assert text(without_guesses(words(phrase, SURE))) == phrase


def test_one_unsure_word_makes_it_a_guess() -> None:
    assert without_guesses([*words("Thank", UNSURE), *words("you.", SURE)]) == []


def test_only_the_sentence_goes() -> None:
    said = [*words("I see.", SURE), *words("Thank you.", UNSURE), *words("Go on", UNSURE)]
    assert text(without_guesses(said)) == "I see. Go on"


def test_a_stock_phrase_within_a_sentence_is_kept() -> None:
    assert text(without_guesses(words("I thank you.", UNSURE))) == "I thank you."


@given(st.lists(st.builds(Word, st.text(max_size=9), st.just(0.0), st.just(1.0), st.floats(0, 1))))
def test_what_is_kept_is_in_order_and_sure_words_all_are(said: list[Word]) -> None:
    kept = without_guesses(said)
    at = iter(said)
    assert all(any(word is other for other in at) for word in kept)
    if all(word.probability >= MIN_PROBABILITY for word in said):
        assert kept == said
