"""Words that Whisper guesses where it understands nothing. Pure.

Subtitles that it was trained on say "Thank you." or name their makers where nobody speaks, and it
writes so for murmur and half-heard words (Barański et al. 2025, "Investigation of Whisper ASR
hallucinations induced by non-speech audio", list what). Such a sentence is left out where the model
is unsure of it: of what somebody says audibly it is sure.
"""

from __future__ import annotations

from collections.abc import Sequence

from speech_endpoint.orthography import letters
from speech_endpoint.transcript import Word

STOCK_PHRASES = frozenset(
    letters(phrase)
    for phrase in (
        "Thank you.",
        "Thank you very much.",
        "Thank you so much.",
        "Thanks.",
        "Thanks for watching!",
        "Thank you for watching.",
        "Please subscribe.",
        "Bye.",
        "Bye-bye.",
        "You",
        "Untertitel der Amara.org-Community",
        "Untertitelung des ZDF",
        "Vielen Dank.",
        "Sous-titres réalisés par la communauté d'Amara.org",
        "Sous-titres réalisés para la communauté d'Amara.org",
        "Subtítulos realizados por la comunidad de Amara.org",
        "Gracias.",
        "Sottotitoli creati dalla comunità Amara.org",
        "Продолжение следует...",
        "Спасибо за просмотр!",
        "ご視聴ありがとうございました",
        "請不吝點贊 訂閱 轉發 打賞支持明鏡與點點欄目",
        "谢谢观看",
        "字幕由Amara.org社区提供",
    )
)
# A sentence is a guess where its least likely word is less likely than this. In ten beginnings of
# each of the open conversations eleven such sentences are guesses, their probabilities 0.25 to
# 0.40; the one at 0.54 was said.
MIN_PROBABILITY = 0.45


def without_guesses(words: Sequence[Word]) -> list[Word]:
    """A segment's words less the sentences that are guesses.

    Args:
        words: in order.
    """
    kept: list[Word] = []
    sentence: list[Word] = []
    for n, word in enumerate(words):
        sentence.append(word)
        if n == len(words) - 1 or word.ends_sentence:
            kept += [] if _is_guess(sentence) else sentence
            sentence = []
    return kept


def _is_guess(sentence: Sequence[Word]) -> bool:
    if min(word.probability for word in sentence) >= MIN_PROBABILITY:
        return False
    return letters("".join(word.text for word in sentence)) in STOCK_PHRASES
