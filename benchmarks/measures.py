"""How well an answer matches its reference. Pure functions; all times are seconds.

Words are compared after normalisation as in Radford et al. 2022 (appendix C): English spelling, numbers and
contractions made alike, everything else lower case without punctuation.

DER and JER are pyannote.metrics', over the whole recording, overlapping speech included. Its `collar` is the whole
width of what is left out around a border: the usual "± 0.25 s" is 0.5.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Any

import numpy as np

from benchmarks.recordings import SpokenSegment
from speech_endpoint.transcript import SpeakerTurn

NO_COLLAR = 0.0
QUARTER_SECOND_EITHER_SIDE = 0.5
# A word may lie this far outside a turn of its speaker.
WORD_TOLERANCE_S = 0.25
# tcpWER: words further apart than this are not the same word (the CHiME challenges' collar).
TCP_COLLAR_S = 5.0
# Words of one speaker make one segment for tcpWER until a pause of this length.
SEGMENT_PAUSE_S = 1.0
# A speaker's turns closer than this are one: nothing can be heard of the border between them.
ABUTTING_S = 0.2
# Languages written without spaces are compared letter by letter (Radford et al. 2022).
WITHOUT_SPACES = frozenset({"zh", "yue", "ja", "th", "lo", "my"})


@dataclass(frozen=True)
class SaidWord:
    """A word of an answer and whom it is given to."""

    text: str
    start: float
    end: float
    speaker: str | None = None


@dataclass(frozen=True)
class Answer:
    """What a system makes of a recording."""

    text: str = ""
    words: tuple[SaidWord, ...] = ()
    """The words that its answer gives to speakers, in order."""
    turns: tuple[SpeakerTurn, ...] = ()
    """Who speaks when, according to its diarization."""


@dataclass(frozen=True)
class WordErrors:
    """Words that match, and those that do not."""

    hits: int = 0
    insertions: int = 0
    deletions: int = 0
    substitutions: int = 0

    @property
    def rate(self) -> float:
        """Word error rate."""
        reference = self.hits + self.deletions + self.substitutions
        return (self.insertions + self.deletions + self.substitutions) / max(1, reference)

    def __add__(self, other: WordErrors) -> WordErrors:
        return WordErrors(
            self.hits + other.hits,
            self.insertions + other.insertions,
            self.deletions + other.deletions,
            self.substitutions + other.substitutions,
        )


@dataclass(frozen=True)
class BorderErrors:
    """How far words' times are from borders of turns: every distance (signed: positive is late), seconds."""

    distances_s: tuple[float, ...] = ()

    @property
    def median_s(self) -> float | None:
        """Of the distances' sizes; None where there is no border to judge by."""
        return float(np.median(np.abs(self.distances_s))) if self.distances_s else None

    @property
    def p95_s(self) -> float | None:
        return float(np.percentile(np.abs(self.distances_s), 95)) if self.distances_s else None

    def __add__(self, other: BorderErrors) -> BorderErrors:
        return BorderErrors(self.distances_s + other.distances_s)


def normalised(text: str, language: str = "en") -> str:
    """`text` as it is compared."""
    return str(_normaliser(language)(text)).strip()


@cache
def _normaliser(language: str) -> Any:
    from whisper_normalizer.basic import BasicTextNormalizer
    from whisper_normalizer.english import EnglishTextNormalizer

    if language == "en":
        return EnglishTextNormalizer()
    return BasicTextNormalizer(split_letters=language in WITHOUT_SPACES)


def word_errors(reference: str, heard: str, language: str = "en") -> WordErrors:
    """Of a text, whoever says it."""
    import jiwer

    expected, found = normalised(reference, language), normalised(heard, language)
    if not expected:
        return WordErrors(insertions=len(found.split()))
    result = jiwer.process_words(expected, found)
    return WordErrors(result.hits, result.insertions, result.deletions, result.substitutions)


def word_count(text: str) -> int:
    """Words as they stand in a text."""
    return len(text.split())


def diarization_error_rate(
    reference: Sequence[SpeakerTurn],
    heard: Sequence[SpeakerTurn],
    duration_s: float,
    collar_s: float = NO_COLLAR,
) -> float:
    """DER: missed, invented and misattributed speech, over the reference's speech. `collar_s` is the whole width."""
    from pyannote.metrics.diarization import DiarizationErrorRate

    metric = DiarizationErrorRate(collar=collar_s)
    return float(metric(_annotation(reference), _annotation(heard), uem=_whole(duration_s)))


def jaccard_error_rate(
    reference: Sequence[SpeakerTurn],
    heard: Sequence[SpeakerTurn],
    duration_s: float,
    collar_s: float = NO_COLLAR,
) -> float:
    """JER: like DER, but every speaker of the reference counts alike. `collar_s` is the whole width."""
    from pyannote.metrics.diarization import JaccardErrorRate

    metric = JaccardErrorRate(collar=collar_s)
    return float(metric(_annotation(reference), _annotation(heard), uem=_whole(duration_s)))


def _annotation(turns: Sequence[SpeakerTurn]) -> Any:
    from pyannote.core import Annotation, Segment

    annotation = Annotation()
    for n, turn in enumerate(turns):
        annotation[Segment(turn.start, turn.end), n] = turn.speaker
    return annotation


def _whole(duration_s: float) -> Any:
    from pyannote.core import Segment, Timeline

    return Timeline([Segment(0.0, duration_s)])


def speaker_count_error(reference: Sequence[SpeakerTurn], heard: Sequence[SpeakerTurn]) -> int:
    """Speakers found beyond those that there are; negative where some are missing."""
    return len({turn.speaker for turn in heard}) - len({turn.speaker for turn in reference})


def word_speaker_accuracy(reference: Sequence[SpeakerTurn], words: Sequence[SaidWord]) -> float:
    """Share of an answer's words that are given to who says them, by the best one-to-one mapping of speakers.

    A word is right if its speaker is one whom the reference has speaking within WORD_TOLERANCE_S of its middle. Words
    where nobody speaks are wrong: invented, or misplaced. Words that are missing do not count: see the deletions.
    """
    from scipy.optimize import linear_sum_assignment

    people = sorted({turn.speaker for turn in reference})
    labels = sorted({str(word.speaker) for word in words})
    agree = np.zeros((len(people), len(labels)), dtype=int)
    for word in words:
        column = labels.index(str(word.speaker))
        for person in _speaking_at((word.start + word.end) / 2, reference):
            agree[people.index(person), column] += 1
    rows, columns = linear_sum_assignment(agree, maximize=True)
    return float(agree[rows, columns].sum()) / max(1, len(words))


def _speaking_at(time: float, reference: Iterable[SpeakerTurn]) -> set[str]:
    return {
        turn.speaker
        for turn in reference
        if turn.start - WORD_TOLERANCE_S <= time <= turn.end + WORD_TOLERANCE_S
    }


def speaker_word_error_rate(
    reference: Sequence[SpokenSegment], words: Sequence[SaidWord], language: str
) -> float:
    """cpWER: every speaker's words one after the other, by the best permutation of speakers (Watanabe et al. 2020)."""
    from meeteval.io import SegLST
    from meeteval.wer import cp_word_error_rate

    if not words:
        return 1.0
    expected = SegLST([_entry(one, language) for one in reference])
    found = SegLST([_entry(one, language) for one in spoken_segments(words)])
    return float(cp_word_error_rate(expected, found).error_rate)


def timed_speaker_word_error_rate(
    reference: Sequence[SpokenSegment],
    words: Sequence[SaidWord],
    language: str,
    collar_s: float = TCP_COLLAR_S,
) -> float:
    """tcpWER: cpWER in which words match only near their time (von Neumann et al. 2023)."""
    from meeteval.io import SegLST
    from meeteval.wer import time_constrained_minimum_permutation_word_error_rate

    if not words:
        return 1.0
    expected = SegLST([_entry(one, language) for one in reference])
    found = SegLST([_entry(one, language) for one in spoken_segments(words)])
    return float(
        time_constrained_minimum_permutation_word_error_rate(
            expected, found, collar=collar_s
        ).error_rate
    )


def spoken_segments(words: Sequence[SaidWord]) -> list[SpokenSegment]:
    """Consecutive words of one speaker, with no pause of SEGMENT_PAUSE_S between them.

    Whole stretches, since normalisation joins words ("twenty one" is 21).
    """
    segments = []
    for speaker, group in groupby(words, key=lambda word: str(word.speaker)):
        stretch: list[SaidWord] = []
        for word in group:
            if stretch and word.start - stretch[-1].end >= SEGMENT_PAUSE_S:
                segments.append(_segment(speaker, stretch))
                stretch = []
            stretch.append(word)
        segments.append(_segment(speaker, stretch))
    return segments


def _segment(speaker: str, words: Sequence[SaidWord]) -> SpokenSegment:
    text = " ".join(word.text.strip() for word in words)
    return SpokenSegment(speaker, words[0].start, max(word.end for word in words), text)


def _entry(segment: SpokenSegment, language: str) -> dict[str, Any]:
    """A segment as meeteval wants it."""
    return {
        "session_id": "",
        "speaker": segment.speaker,
        "start_time": segment.start,
        "end_time": segment.end,
        "words": normalised(segment.text, language),
    }


def start_errors(reference: Sequence[SpeakerTurn], words: Sequence[SaidWord]) -> BorderErrors:
    """From where each turn begins to the nearest beginning of a word.

    For turns with exact borders. Left out: turns that begin while another's goes on, and those that begin within
    ABUTTING_S of the end of one of the same speaker.
    """
    borders = _clear_borders(
        reference, border=lambda turn: turn.start, opposite=lambda turn: turn.end
    )
    return BorderErrors(_distances(borders, [word.start for word in words]))


def end_errors(reference: Sequence[SpeakerTurn], words: Sequence[SaidWord]) -> BorderErrors:
    """From where each turn ends to the nearest end of a word; the same turns are left out, by their ends."""
    borders = _clear_borders(
        reference, border=lambda turn: turn.end, opposite=lambda turn: turn.start
    )
    return BorderErrors(_distances(borders, [word.end for word in words]))


def _clear_borders(
    reference: Sequence[SpeakerTurn],
    border: Callable[[SpeakerTurn], float],
    opposite: Callable[[SpeakerTurn], float],
) -> list[float]:
    """A border of each turn that neither lies in another's speech nor meets the opposite one of the same speaker."""
    return [
        border(turn)
        for turn in reference
        if not _within_another(border(turn), turn, reference)
        and not any(
            _same_speaker(turn, one) and abs(opposite(one) - border(turn)) <= ABUTTING_S
            for one in reference
        )
    ]


def _within_another(time: float, turn: SpeakerTurn, reference: Iterable[SpeakerTurn]) -> bool:
    return any(one is not turn and one.start < time < one.end for one in reference)


def _same_speaker(turn: SpeakerTurn, other: SpeakerTurn) -> bool:
    return other is not turn and other.speaker == turn.speaker


def _distances(borders: Sequence[float], times: Iterable[float]) -> tuple[float, ...]:
    """From each border to the nearest of `times`, positive where that is later; none where there are no times."""
    ordered = sorted(times)
    if not ordered:
        return ()
    nearest = []
    for border in borders:
        after = bisect_left(ordered, border)
        candidates = ordered[max(0, after - 1) : after + 1]
        nearest.append(min((time - border for time in candidates), key=abs))
    return tuple(nearest)
