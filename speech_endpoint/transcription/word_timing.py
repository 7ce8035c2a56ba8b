"""Corrects word times where cross-attention leaves them in doubt. Pure; all times are seconds.

The alignment path gives every moment to some word: it stretches the words beside a pause over it,
and starts the first word of a window with the window. Voice activity tells where speech is.

A recording's words are corrected in order of their starts, all at once or in consecutive runs as
they become known. With the words before and after it given, a run comes out as within the whole.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import replace

from speech_endpoint.intervals import Interval
from speech_endpoint.transcript import Word

# Two encoder frames (0.02 s each).
MIN_WORD_S = 0.04
# The longest first word of a sentence, as a multiple of what its characters take elsewhere. Shorter
# words count as MIN_CHARACTERS.
MAX_FIRST_WORD_RATIO = 4.0
MIN_CHARACTERS = 3


class SpeakingPace:
    """The median time that a character takes in the words so far."""

    def __init__(self) -> None:
        self._seconds_per_character: list[float] = []

    def add(self, words: Iterable[Word]) -> None:
        """Count more words, as `clamp_to_speech` returns them."""
        for word in words:
            duration_s = word.end - word.start
            # Words collapsed to the minimum length would bias the pace.
            if duration_s > MIN_WORD_S:
                insort(self._seconds_per_character, duration_s / _n_characters(word))

    @property
    def median_s(self) -> float | None:
        """Seconds per character; None before any word that has a length."""
        ordered = self._seconds_per_character
        if not ordered:
            return None
        return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def correct_times(
    words: Sequence[Word],
    voiced: Sequence[Interval],
    pace: SpeakingPace,
    *,
    previous: Word | None = None,
    following: Word | None = None,
) -> list[Word]:
    """Correct a run of words: `clamp_to_speech`, then `shorten_first_words` by the pace so far.

    Args:
        words: in order of their starts.
        voiced: speech segments of the recording, in order, not overlapping.
        pace: of the words before; these are added.
        previous: the corrected word before them; None where the recording begins.
        following: the word after them, not corrected; None where the recording ends.
    """
    run = [*words] if following is None else [*words, following]
    clamped = clamp_to_speech(run, voiced, previous)
    pace.add(clamped[: len(words)])
    return shorten_first_words(clamped, pace.median_s, previous)[: len(words)]


def clamp_to_speech(
    words: Sequence[Word], voiced: Sequence[Interval], previous: Word | None = None
) -> list[Word]:
    """Clamp each word to the speech segment that most of it lies in.

    A word outside all speech keeps its time. Starts stay in order, and no word but the last is
    shorter than MIN_WORD_S unless the next one starts sooner.

    Args:
        words: in order of their starts. The last one is taken for the recording's last.
        voiced: speech segments, in order, not overlapping.
        previous: the clamped word before them; None where the recording begins.
    """
    clamped: list[Word] = []
    earliest = previous.start if previous else -math.inf
    for word in words:
        inside = _clamp(word, voiced)
        if inside.start < earliest:
            inside = replace(inside, start=earliest, end=max(earliest, inside.end))
        earliest = inside.start
        clamped.append(inside)
    limits = [word.start for word in clamped[1:]] + [word.end for word in clamped[-1:]]
    return [_lengthen(word, limit) for word, limit in zip(clamped, limits, strict=True)]


def _clamp(word: Word, voiced: Sequence[Interval]) -> Word:
    """The word inside the speech segment that it overlaps most; the earliest of equals."""
    first = bisect_right(voiced, word.start, key=lambda segment: segment.end)
    last = bisect_left(voiced, word.end, key=lambda segment: segment.start)
    if first >= last:
        return word
    inside = [
        Interval(max(word.start, segment.start), min(word.end, segment.end))
        for segment in voiced[first:last]
    ]
    longest = max(inside, key=lambda interval: interval.duration_s)
    return replace(word, start=longest.start, end=longest.end)


def _lengthen(word: Word, limit: float) -> Word:
    """The word MIN_WORD_S long, if it is shorter, but not beyond `limit`."""
    if word.end - word.start >= MIN_WORD_S:
        return word
    return replace(word, end=max(word.end, min(limit, word.start + MIN_WORD_S)))


def shorten_first_words(
    words: Sequence[Word], pace_s: float | None, previous: Word | None = None
) -> list[Word]:
    """Let a sentence's first word start later if it is far too long for its characters.

    The alignment gives it what lies before it and is not in the text, such as the end of what
    somebody else says (openai/whisper shortens it too, to twice the median word). A sentence of one
    word keeps its time: it may as well have been given what lies after it.

    Args:
        words: clamped, in order. The last one is taken for the recording's last.
        pace_s: seconds per character; None where it is unknown, and nothing is shortened.
        previous: the word before them; None where the recording begins.
    """
    if pace_s is None:
        return list(words)
    shortened: list[Word] = []
    for n, word in enumerate(words):
        is_first = (previous is None or previous.ends_sentence) and not word.ends_sentence
        max_s = MAX_FIRST_WORD_RATIO * pace_s * _n_characters(word)
        if is_first and word.end - word.start > max_s:
            latest = words[n + 1].start if n + 1 < len(words) else word.end
            start = max(word.start, min(latest, word.end - max_s))
            shortened.append(replace(word, start=start))
        else:
            shortened.append(word)
        previous = word
    return shortened


def _n_characters(word: Word) -> int:
    return max(MIN_CHARACTERS, len(word.text.strip()))
