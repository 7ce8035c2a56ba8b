"""What goes into the decoding loop and what comes out of it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

# Radford et al. 2022, section 4.5: a text less likely, or more repetitive, than this is not to be trusted.
LOG_PROBABILITY_FLOOR = -1.0
COMPRESSION_CEILING = 2.4


@dataclass(frozen=True, slots=True)
class Job:
    """One window of speech to decode, with options of its own."""

    index: int
    """Which window it is; the caller's."""
    pieces: tuple[np.ndarray, ...]
    """Its samples in order, at most 30 s: (samples,), float32, 16 kHz. Views of a recording cost nothing to keep."""
    language: str | None
    """Code, or None to detect it."""
    task: str = "transcribe"
    previous: tuple[int, ...] = ()
    """Tokens of text that came before: a prompt."""
    retries: bool = True
    """Whether a doubtful text is decoded again at higher temperatures."""

    @property
    def samples(self) -> int:
        return sum(piece.size for piece in self.pieces)

    def waveform(self) -> np.ndarray:
        """The pieces as one: (samples,)."""
        return np.concatenate(self.pieces)


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """The tokens that were written for a window."""

    job: Job
    language: str
    tokens: tuple[int, ...]
    """Text and timestamps, without prompt and end of text."""
    log_probabilities: tuple[float, ...]
    """Of each token under the rules of decoding."""
    no_speech_probability: float
    temperature: float
    looped: bool
    """The text was cut where it began to repeat itself."""
    alignment: torch.Tensor | None
    """(alignment heads, tokens + 1, 1500): where those heads looked when each token, and the end, was written."""
    mixed: bool = False
    """The window holds two languages: nothing was written."""

    @classmethod
    def of_two_languages(cls, job: Job) -> Hypothesis:
        return cls(job, "", (), (), 0.0, 0.0, looped=False, alignment=None, mixed=True)

    @property
    def mean_log_probability(self) -> float:
        return sum(self.log_probabilities) / (len(self.log_probabilities) + 1)

    @property
    def is_unlikely(self) -> bool:
        return self.mean_log_probability < LOG_PROBABILITY_FLOOR


def is_doubtful(hypothesis: Hypothesis, text: str) -> bool:
    """Whether the window had better be decoded again; `text` is what the tokens spell."""
    return (
        hypothesis.is_unlikely or hypothesis.looped or compression_ratio(text) > COMPRESSION_CEILING
    )


# A loop is a phrase said over and over: at least this many tokens of it, and at least this many times.
LOOP_TOKENS = 24
LOOP_TIMES = 3
LONGEST_PHRASE_TOKENS = 40


def loop_start(text_tokens: Sequence[int]) -> int | None:
    """Where the text begins to repeat itself to its end: the index after the phrase's first time, or None."""
    n = len(text_tokens)
    for period in range(1, min(LONGEST_PHRASE_TOKENS, n // LOOP_TIMES) + 1):
        if text_tokens[-1] != text_tokens[-1 - period]:
            continue
        repeated = period
        while (
            repeated < n and text_tokens[n - 1 - repeated] == text_tokens[n - 1 - repeated + period]
        ):
            repeated += 1
        if repeated >= max(LOOP_TOKENS, LOOP_TIMES * period):
            return n - repeated + period
    return None


def compression_ratio(text: str) -> float:
    """How much zlib shrinks the text."""
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 0.0
