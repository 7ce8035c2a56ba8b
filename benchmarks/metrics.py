"""How well a hypothesis matches its reference. Pure functions; all times are seconds.

Words are compared after normalisation as in Radford et al. 2022 (appendix C): English spelling,
numbers and contractions made alike, everything else in lower case without punctuation.

DER and JER are pyannote.metrics', over the whole recording, overlapping speech included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from typing import Any, Literal

import numpy as np

from speech_endpoint.transcript import SpeakerTurn, Word

# What a forgiving DER leaves out on either side of a border.
COLLAR_S = 0.25
# A word may lie this far outside a turn of its speaker.
WORD_TOLERANCE_S = 0.25
# tcpWER: words further apart than this are not the same word (the CHiME challenges' collar).
TCP_COLLAR_S = 5.0
# For tcpWER, words of one speaker make one utterance until a pause of this length.
MIN_UTTERANCE_PAUSE_S = 1.0
# A speaker's turns closer than this are one: nothing can be heard of the border between them.
MIN_TURN_GAP_S = 0.2
# Languages written without spaces are compared letter by letter (Radford et al. 2022).
WITHOUT_SPACES = frozenset({"zh", "yue", "ja", "th", "lo", "my"})

Border = Literal["start", "end"]


@dataclass(frozen=True)
class Utterance:
    """What one speaker says without a pause."""

    speaker: str
    start: float
    end: float
    text: str


@dataclass(frozen=True)
class Hypothesis:
    """What a system makes of a recording; empty where it was not asked."""

    text: str = ""
    words: tuple[Word, ...] = ()
    """In order, with their speakers if the system tells any."""
    turns: tuple[SpeakerTurn, ...] = ()
    """Who speaks when, according to its diarization."""
    exclusive_turns: tuple[SpeakerTurn, ...] = ()
    """The same with one speaker at a time, where the system tells."""
    timings_s: Mapping[str, float] = field(default_factory=dict)
    """What its parts took, where the system tells."""


def normalise(text: str, language: str = "en") -> str:
    """`text` as it is compared."""
    return str(_normaliser(language)(text)).strip()


@cache
def _normaliser(language: str) -> Any:
    from whisper_normalizer.basic import BasicTextNormalizer
    from whisper_normalizer.english import EnglishTextNormalizer

    if language == "en":
        return EnglishTextNormalizer()
    return BasicTextNormalizer(split_letters=language in WITHOUT_SPACES)


def word_errors(texts: Sequence[tuple[str, str]]) -> Any:
    """Word errors over all of `texts`, pairs of a normalised reference and hypothesis.

    Returns:
        jiwer's WordOutput: `wer`, `hits`, `insertions`, `deletions`, `substitutions`.
    """
    import jiwer

    references, hypotheses = zip(*texts, strict=True)
    return jiwer.process_words(list(references), list(hypotheses))


def diarization_error_rates(
    reference: Sequence[SpeakerTurn],
    hypothesis: Sequence[SpeakerTurn],
    duration_s: float,
    collar_s: float = 0.0,
) -> tuple[float, float]:
    """DER and JER.

    DER is missed, false and misattributed speech over the reference's speech; JER is like it, but
    every speaker of the reference counts alike.

    Args:
        collar_s: left out on either side of each border of the reference.
    """
    from pyannote.core import Annotation, Segment, Timeline
    from pyannote.metrics.diarization import DiarizationErrorRate, JaccardErrorRate

    def annotation(turns: Sequence[SpeakerTurn]) -> Any:
        tracks = ((Segment(turn.start, turn.end), n, turn.speaker) for n, turn in enumerate(turns))
        return Annotation.from_records(tracks)

    expected, found = annotation(reference), annotation(hypothesis)
    whole = Timeline([Segment(0.0, duration_s)])
    # pyannote's collar is the whole width, both sides together.
    der, jer = (metric(collar=2 * collar_s) for metric in (DiarizationErrorRate, JaccardErrorRate))
    return float(der(expected, found, uem=whole)), float(jer(expected, found, uem=whole))


def speaker_count_error(reference: Sequence[SpeakerTurn], hypothesis: Sequence[SpeakerTurn]) -> int:
    """Speakers found beyond those that there are; negative where some are missing."""
    return len({turn.speaker for turn in hypothesis}) - len({turn.speaker for turn in reference})


def word_speaker_accuracy(reference: Sequence[SpeakerTurn], words: Sequence[Word]) -> float:
    """Share of the words that are given to who says them, by the best mapping of speakers.

    A word is right if the reference has its speaker speaking within WORD_TOLERANCE_S of the word's
    middle. Words where nobody speaks are wrong: hallucinated or misplaced. Missing words do not
    count: see the deletions.
    """
    from scipy.optimize import linear_sum_assignment

    speakers = sorted({turn.speaker for turn in reference})
    labels = sorted({str(word.speaker) for word in words})
    agreement = np.zeros((len(speakers), len(labels)), dtype=int)
    for word in words:
        middle, label = (word.start + word.end) / 2, labels.index(str(word.speaker))
        distances_s = ((t.speaker, max(t.start - middle, middle - t.end)) for t in reference)
        for speaker in {one for one, away_s in distances_s if away_s <= WORD_TOLERANCE_S}:
            agreement[speakers.index(speaker), label] += 1
    rows, columns = linear_sum_assignment(agreement, maximize=True)
    return float(agreement[rows, columns].sum()) / max(1, len(words))


def speaker_word_error_rates(
    reference: Sequence[Utterance], words: Sequence[Word], language: str
) -> tuple[float, float]:
    """cpWER and tcpWER.

    cpWER joins each speaker's words and takes the best permutation (Watanabe et al. 2020); for
    tcpWER words match only within TCP_COLLAR_S (von Neumann et al. 2023).
    """
    from meeteval import wer

    if not words:
        return 1.0, 1.0
    expected, found = _seglst(reference, language), _seglst(utterances(words), language)
    tcp = wer.time_constrained_minimum_permutation_word_error_rate
    return (
        float(wer.cp_word_error_rate(expected, found).error_rate),
        float(tcp(expected, found, collar=TCP_COLLAR_S).error_rate),
    )


def utterances(words: Sequence[Word]) -> list[Utterance]:
    """Consecutive words of one speaker with no pause of MIN_UTTERANCE_PAUSE_S between them.

    Not single words, since normalisation joins some ("twenty one" is 21).
    """
    found = []
    for speaker, group in groupby(words, key=lambda word: str(word.speaker)):
        runs: list[list[Word]] = []
        for word in group:
            if not runs or word.start - runs[-1][-1].end >= MIN_UTTERANCE_PAUSE_S:
                runs.append([])
            runs[-1].append(word)
        for run in runs:
            text = " ".join(word.text.strip() for word in run)
            end = max(word.end for word in run)
            found.append(Utterance(speaker, run[0].start, end, text))
    return found


def _seglst(said: Sequence[Utterance], language: str) -> Any:
    """Utterances as meeteval takes them."""
    from meeteval.io import SegLST

    entries = []
    for one in said:
        text = normalise(one.text, language)
        times = {"start_time": one.start, "end_time": one.end}
        entries.append({"session_id": "", "speaker": one.speaker, "words": text, **times})
    return SegLST(entries)


def border_errors_s(
    reference: Sequence[SpeakerTurn], words: Sequence[Word], border: Border
) -> tuple[float, ...]:
    """From each start (or end) of a turn to the nearest start (or end) of a word; positive is late.

    For references whose borders are exact. Left out are borders within another's turn, and those
    within MIN_TURN_GAP_S of a neighbouring turn of the same speaker.
    """
    times = [getattr(word, border) for word in words]
    opposite = "end" if border == "start" else "start"
    errors_s = []
    for turn in reference if times else ():
        at = getattr(turn, border)
        others = [one for one in reference if one is not turn]
        own = [one for one in others if one.speaker == turn.speaker]
        is_within = any(one.start < at < one.end for one in others)
        is_abutting = any(abs(getattr(one, opposite) - at) <= MIN_TURN_GAP_S for one in own)
        if not is_within and not is_abutting:
            errors_s.append(min((time - at for time in times), key=abs))
    return tuple(errors_s)
