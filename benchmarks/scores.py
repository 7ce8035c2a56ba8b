"""The columns of every table that say how well a hypothesis matches its reference."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from benchmarks import metrics
from benchmarks.corpus import Clip
from benchmarks.metrics import Hypothesis

DASH = "–"
Scores = dict[str, tuple[Any, ...]]
"""Figures of one hypothesis, or pooled, by what they are; none where there is no reference."""


def score(clip: Clip, found: Hypothesis) -> Scores:
    """Of one hypothesis."""
    turns, words = clip.turns, found.words
    scores: Scores = {"words": (len(found.text.split()),)}
    if clip.transcript:
        texts = (clip.transcript, found.text)
        scores["texts"] = (tuple(metrics.normalise(text, clip.language) for text in texts),)
    if turns:
        scores["word speaker accuracy"] = (metrics.word_speaker_accuracy(turns, words),)
        scores["speakers ±"] = (metrics.speaker_count_error(turns, found.turns),)
        for suffix, collar_s in (("", 0.0), (" ±0.25 s", metrics.COLLAR_S)):
            judged = turns, found.turns, clip.duration_s, collar_s
            der, jer = metrics.diarization_error_rates(*judged)
            scores |= {f"DER{suffix}": (der,), f"JER{suffix}": (jer,)}
    if clip.utterances:
        rates = metrics.speaker_word_error_rates(clip.utterances, words, clip.language)
        scores |= {"cpWER": rates[:1], "tcpWER, 5 s": rates[1:]}
    if clip.has_exact_borders:
        scores["start"] = metrics.border_errors_s(turns, words, "start")
        scores["end"] = metrics.border_errors_s(turns, words, "end")
    return scores


def pooled(scores: Iterable[Scores]) -> Scores:
    """Of several."""
    together: Scores = defaultdict(tuple)
    for one in scores:
        for name, figures in one.items():
            together[name] += figures
    return together


def cell(column: str, scores: Scores) -> str:
    """What a table shows in one of the COLUMNS: a dash where there are no figures."""
    name, shown = COLUMNS[column]
    figures = scores.get(name, ())
    return shown(figures) if figures else DASH


def number(value: float | None, digits: int = 2) -> str:
    """A figure of a table; a dash where there is none."""
    return DASH if value is None or math.isnan(value) else f"{value:.{digits}f}"


def _mean(values: Sequence[float]) -> str:
    return number(statistics.mean(values), 3)


def _percentile(percent: int) -> Callable[[Sequence[float]], str]:
    return lambda errors_s: number(float(np.percentile(np.abs(errors_s), percent)), 3)


def _errors(kind: str, digits: int = 0) -> Callable[[Sequence[tuple[str, str]]], str]:
    return lambda texts: number(getattr(metrics.word_errors(texts), kind), digits)


def _speaker_count(errors: Sequence[int]) -> str:
    """How many too many; of several hypotheses how many too many or too few in the mean."""
    return f"{errors[0]:+d}" if len(errors) == 1 else number(statistics.mean(map(abs, errors)))


MEANS = (
    "cpWER", "tcpWER, 5 s", "word speaker accuracy", "DER", "DER ±0.25 s", "JER", "JER ±0.25 s",
)  # fmt: skip
# The figures that each is made of. Word errors are summed, the distances of borders pooled, rates
# averaged.
COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "words": ("words", lambda counts: str(sum(counts))),
    "WER": ("texts", _errors("wer", 3)),
    "ins.": ("texts", _errors("insertions")),
    "del.": ("texts", _errors("deletions")),
    "sub.": ("texts", _errors("substitutions")),
    **{name: (name, _mean) for name in MEANS},
    "speakers ±": ("speakers ±", _speaker_count),
    "start, median s": ("start", _percentile(50)),
    "start, p95 s": ("start", _percentile(95)),
    "end, median s": ("end", _percentile(50)),
    "end, p95 s": ("end", _percentile(95)),
}
