"""The columns of every table that say how well a hypothesis matches its reference."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from benchmarks import metrics
from benchmarks.corpus import Clip
from benchmarks.metrics import Hypothesis


@dataclass(frozen=True)
class Scores:
    """Figures of one hypothesis, or pooled; none where the reference says nothing of it."""

    n_words: tuple[int, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    """Reference and hypothesis, normalised."""
    word_speaker_accuracy: tuple[float, ...] = ()
    der: tuple[float, ...] = ()
    jer: tuple[float, ...] = ()
    der_collar: tuple[float, ...] = ()
    jer_collar: tuple[float, ...] = ()
    speaker_count_error: tuple[int, ...] = ()
    cp_wer: tuple[float, ...] = ()
    tcp_wer: tuple[float, ...] = ()
    start_errors_s: tuple[float, ...] = ()
    end_errors_s: tuple[float, ...] = ()

    @classmethod
    def of(cls, clip: Clip, found: Hypothesis) -> Scores:
        """Of one hypothesis."""
        turns, words = clip.turns, found.words
        figures: dict[str, tuple] = {"n_words": (len(found.text.split()),)}
        if clip.transcript:
            texts = (clip.transcript, found.text)
            figures["texts"] = (tuple(metrics.normalise(text, clip.language) for text in texts),)
        if turns:
            figures["word_speaker_accuracy"] = (metrics.word_speaker_accuracy(turns, words),)
            figures["speaker_count_error"] = (metrics.speaker_count_error(turns, found.turns),)
            for suffix, collar_s in (("", 0.0), ("_collar", metrics.COLLAR_S)):
                judged = turns, found.turns, clip.duration_s, collar_s
                der, jer = metrics.diarization_error_rates(*judged)
                figures |= {f"der{suffix}": (der,), f"jer{suffix}": (jer,)}
        if clip.utterances:
            rates = metrics.speaker_word_error_rates(clip.utterances, words, clip.language)
            figures |= {"cp_wer": rates[:1], "tcp_wer": rates[1:]}
        if clip.has_exact_borders:
            figures["start_errors_s"] = metrics.border_errors_s(turns, words, "start")
            figures["end_errors_s"] = metrics.border_errors_s(turns, words, "end")
        return cls(**figures)

    @classmethod
    def pooled(cls, scores: Iterable[Scores]) -> Scores:
        """Of several."""
        listed = list(scores)
        values = ([getattr(one, field.name) for one in listed] for field in fields(cls))
        return cls(*(sum(of_field, ()) for of_field in values))


def number(value: float | None, digits: int = 2) -> str:
    """A figure of a table; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def _mean(values: Sequence[float]) -> str:
    return number(statistics.mean(values) if values else None, 3)


def _percentile(errors_s: Sequence[float], percent: int) -> str:
    return number(float(np.percentile(np.abs(errors_s), percent)) if errors_s else None, 3)


def _wer(scores: Scores) -> str:
    return number(metrics.word_errors(scores.texts).wer if scores.texts else None, 3)


def _errors(kind: str) -> Callable[[Scores], str]:
    return lambda scores: (
        str(getattr(metrics.word_errors(scores.texts), kind)) if scores.texts else number(None)
    )


def _speaker_count(scores: Scores) -> str:
    """How many too many; of several hypotheses how many too many or too few in the mean."""
    errors = scores.speaker_count_error
    if not errors:
        return number(None)
    return f"{errors[0]:+d}" if len(errors) == 1 else number(statistics.mean(map(abs, errors)))


# Word errors are summed, the distances of borders pooled, rates averaged.
COLUMNS: dict[str, Callable[[Scores], str]] = {
    "words": lambda scores: str(sum(scores.n_words)),
    "WER": _wer,
    "ins.": _errors("insertions"),
    "del.": _errors("deletions"),
    "sub.": _errors("substitutions"),
    "cpWER": lambda scores: _mean(scores.cp_wer),
    "tcpWER, 5 s": lambda scores: _mean(scores.tcp_wer),
    "word speaker accuracy": lambda scores: _mean(scores.word_speaker_accuracy),
    "DER": lambda scores: _mean(scores.der),
    "DER ±0.25 s": lambda scores: _mean(scores.der_collar),
    "JER": lambda scores: _mean(scores.jer),
    "JER ±0.25 s": lambda scores: _mean(scores.jer_collar),
    "speakers ±": _speaker_count,
    "start, median s": lambda scores: _percentile(scores.start_errors_s, 50),
    "start, p95 s": lambda scores: _percentile(scores.start_errors_s, 95),
    "end, median s": lambda scores: _percentile(scores.end_errors_s, 50),
    "end, p95 s": lambda scores: _percentile(scores.end_errors_s, 95),
}
