"""What two channels both hold in writing, though one person said it. Pure; times are seconds.

`audio.bleeding` silences a channel where the signals show that it repeats another. Where they do
not, after much reverberation or noise suppression, the same words at the same time do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from itertools import permutations

import numpy as np

from speech_endpoint.orthography import letters
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Segment, Waveform, Word
from speech_endpoint.utterances import Utterance, utterances

MAX_DELAY_S = 0.75
"""Between the two: an echo's delay, and what word times err by."""
MIN_EQUAL_WORDS = 4
"""Two people do say "thank you very" at once; hardly ever more of the same."""
MIN_EQUAL_SHARE = 0.75
"""Of an utterance's words: a weak copy is misheard here and there."""


def without_repeats(
    transcripts: Sequence[Sequence[Segment]], channels: Sequence[Waveform]
) -> list[list[Segment]]:
    """Leave out the utterances that a louder channel has at the same time.

    Args:
        transcripts: the segments of each channel, in order.
        channels: as recorded.
    """
    kept = [list(segments) for segments in transcripts]
    for n, other in permutations(range(len(kept)), 2):
        said = [word for segment in kept[other] for word in segment.words]
        own = [word for segment in kept[n] for word in segment.words]
        repeated = {
            id(word)
            for utterance in utterances(own)
            if _is_repeated(utterance, said) and _is_weaker(channels[n], channels[other], utterance)
            for word in utterance
        }
        kept[n] = _without(kept[n], repeated)
    return kept


def _is_repeated(utterance: Utterance, said: Sequence[Word]) -> bool:
    """Whether most of an utterance's words are among others at the same time, in order."""
    start, end = utterance[0].start - MAX_DELAY_S, utterance[-1].start + MAX_DELAY_S
    others = [word for word in said if start <= word.start <= end]
    matcher = SequenceMatcher(
        None, [_letters(w) for w in utterance], [_letters(w) for w in others], autojunk=False
    )
    n_equal = sum(
        abs(utterance[block.a + n].start - others[block.b + n].start) <= MAX_DELAY_S
        for block in matcher.get_matching_blocks()
        for n in range(block.size)
    )
    return n_equal >= max(MIN_EQUAL_WORDS, MIN_EQUAL_SHARE * len(utterance))


def _letters(word: Word) -> str:
    return letters(word.text) or word.text.strip()


def _is_weaker(channel: Waveform, other: Waveform, utterance: Utterance) -> bool:
    start = round(utterance[0].start * SAMPLE_RATE_HZ)
    end = round(max(word.end for word in utterance) * SAMPLE_RATE_HZ)
    return bool(np.sum(np.square(channel[start:end])) < np.sum(np.square(other[start:end])))


def _without(segments: Sequence[Segment], removed: set[int]) -> list[Segment]:
    """The segments without words, by identity; none is left without any."""
    left = [
        replace(segment, words=tuple(w for w in segment.words if id(w) not in removed))
        for segment in segments
    ]
    return [segment for segment in left if segment.words]
