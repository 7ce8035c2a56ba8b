"""Where cross-attention leaves a word's time in doubt, the voice settles it, or its letters. Pure; times are seconds.

The path through the attention gives every moment to some word: pauses stretch the word before or after them, and the
first word of a window begins with the window. Voice activity knows where the voice is.
"""

from __future__ import annotations

import statistics
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace

from speech_endpoint.audio.vad import Speech
from speech_endpoint.transcript import Word

# Nobody says a word in less; the attention's own frames are of 0.02 s.
SHORTEST_WORD_S = 0.04


# Of a sentence's first word: as many times as long as its letters take elsewhere; fewer than three count as three.
LONGEST_FIRST_WORD = 4.0
LEAST_LETTERS = 3


def shorten_first_words(words: Sequence[Word]) -> list[Word]:
    """Words in order; a sentence's first that is far too long for its letters begins later.

    The attention gives it what lies before it and nobody wrote down, such as the end of what somebody else said
    (openai/whisper shortens it too, to twice the median word). A sentence of one word stays: it may as well have been
    given what lies after it.
    """
    letters = [max(LEAST_LETTERS, len(word.text.strip())) for word in words]
    durations_s = [word.end - word.start for word in words]
    # What fell together says nothing of the pace.
    paces_s = [
        duration_s / n
        for duration_s, n in zip(durations_s, letters, strict=True)
        if duration_s > SHORTEST_WORD_S
    ]
    if not paces_s:
        return list(words)
    longest_s = LONGEST_FIRST_WORD * statistics.median(paces_s)
    shortened = list(words)
    for n, word in enumerate(words):
        is_first = (n == 0 or words[n - 1].ends_sentence) and not word.ends_sentence
        if is_first and durations_s[n] > longest_s * letters[n]:
            latest = words[n + 1].start if n + 1 < len(words) else word.end
            shortened[n] = replace(
                word, start=max(word.start, min(latest, word.end - longest_s * letters[n]))
            )
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
