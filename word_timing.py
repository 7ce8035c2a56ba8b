"""Where cross-attention leaves a word's time in doubt, the voice settles it. Pure; all times are seconds.

The path through the attention gives every moment to some word: pauses stretch the word before or after them, and the
first word of a window begins with the window. Voice activity knows where the voice is.
"""

from __future__ import annotations

import statistics
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace

from transcript import Word
from voice_activity import Speech

# Nobody says a word in less; the attention's own frames are of 0.02 s.
SHORTEST_WORD_S = 0.04


# What ends a sentence, as Whisper writes it.
SENTENCE_ENDS = ".?!…。？！"
# Of a sentence's first word: as many times as long as its letters take elsewhere; fewer than three count as three.
LONGEST_FIRST_WORD = 4.0
LEAST_LETTERS = 3


def shorten_first_words(words: Sequence[Word]) -> list[Word]:
    """Words in order; a sentence's first that is far too long for its letters begins later.

    It takes what lies before it that nobody wrote down, such as the end of what somebody else said. openai/whisper
    does the same, with twice the median word.
    """
    letters = [max(LEAST_LETTERS, len(word.text.strip())) for word in words]
    pace_s = (
        statistics.median((word.end - word.start) / n for word, n in zip(words, letters, strict=True)) if words else 0.0
    )
    shortened = list(words)
    for n, word in enumerate(words):
        longest_s = max(SHORTEST_WORD_S, LONGEST_FIRST_WORD * pace_s * letters[n])
        begins_sentence = n == 0 or words[n - 1].text.rstrip().endswith(tuple(SENTENCE_ENDS))
        if begins_sentence and word.end - word.start > longest_s and pace_s > 0:
            latest = words[n + 1].start if n + 1 < len(words) else word.end
            shortened[n] = replace(word, start=max(word.start, min(latest, word.end - longest_s)))
    return shortened


def hold_in_speech(words: Sequence[Word], voiced: Sequence[Speech]) -> list[Word]:
    """Words in order, each held inside the stretch of voice that most of it lies in.

    A word in silence altogether keeps its time. Starts stay in order, and no word is shorter than 0.04 s unless the
    next one begins sooner.

    Args:
        words: in order of their starts.
        voiced: stretches of voice, in order, not overlapping.
    """
    ends = [region.end for region in voiced]
    held = [_held(word, voiced, bisect_right(ends, word.start)) for word in words]
    for n in range(1, len(held)):
        if held[n].start < held[n - 1].start:
            start = held[n - 1].start
            held[n] = replace(held[n], start=start, end=max(start, held[n].end))
    for n, word in enumerate(held):
        if word.end - word.start < SHORTEST_WORD_S:
            limit = held[n + 1].start if n + 1 < len(held) else word.end
            held[n] = replace(word, end=max(word.end, min(limit, word.start + SHORTEST_WORD_S)))
    return held


def _held(word: Word, voiced: Sequence[Speech], first: int) -> Word:
    """The word inside the stretch of voice, `first` or later, that it overlaps most; the earliest of equals."""
    best, most = None, 0.0
    for region in voiced[first:]:
        if region.start >= word.end:
            break
        overlap = min(word.end, region.end) - max(word.start, region.start)
        if overlap > most:
            best, most = region, overlap
    if best is None:
        return word
    return replace(word, start=max(word.start, best.start), end=min(word.end, best.end))
