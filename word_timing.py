"""Where cross-attention leaves a word's time in doubt, the voice settles it. Pure; all times are seconds.

The path through the attention gives every moment to some word: pauses stretch the word before or after them, and the
first word of a window begins with the window. Voice activity knows where the voice is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace

from transcript import Word
from voice_activity import Speech

# Nobody says a word in less; the attention's own frames are of 0.02 s.
SHORTEST_WORD_S = 0.04


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
