"""Text that repeats itself: what is said again and again, or a loop. Pure: no model, no audio.

A loop is a text that goes on while the audio does not. The text alone tells neither, nor do its
timestamps, which a loop writes at an even pace over noise; where the decoder looks does: from
repeat to repeat it goes on by about the same time if they are spoken, and back or nowhere if not.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

import torch

from speech_endpoint.whisper.attention import frames_of, normalized_attention
from speech_endpoint.whisper.model.features import AUDIO_FRAME_S

# Repetition: a phrase over and over, at least so many tokens of it, and at least so many times.
MIN_REPETITION_TOKENS = 24
MIN_REPETITIONS = 3
MAX_PHRASE_TOKENS = 40
# No token is spoken in less ("no, no, no" has two a word), and no repeat comes after so many times
# what the others took.
MIN_TOKEN_S = 0.1
MAX_STEP_RATIO = 3.0


class Repetition(NamedTuple):
    """A phrase that a text repeats to its end."""

    start: int
    """Index of the phrase's first token."""
    period: int
    """Tokens of the phrase."""


def find_repetition(
    text_tokens: Sequence[int], min_tokens: int = MIN_REPETITION_TOKENS
) -> Repetition | None:
    """The shortest phrase that the text repeats to its end, in at least `min_tokens` tokens."""
    n = len(text_tokens)
    for period in range(1, min(MAX_PHRASE_TOKENS, n // MIN_REPETITIONS) + 1):
        if text_tokens[-1] != text_tokens[-1 - period]:
            continue
        repeated = period
        while (
            repeated < n and text_tokens[n - 1 - repeated] == text_tokens[n - 1 - repeated + period]
        ):
            repeated += 1
        if repeated >= max(min_tokens, MIN_REPETITIONS * period):
            return Repetition(n - repeated, period)
    return None


def repetition_start(text_tokens: Sequence[int]) -> int | None:
    """The index after the phrase's first time, where the text repeats itself to its end."""
    found = find_repetition(text_tokens)
    return None if found is None else found.start + found.period


def n_spoken(times: Sequence[float], period: int) -> int:
    """How many repeats, from the first, follow each other at a pace at which people speak.

    Args:
        times: where each repeat is looked for in the audio, seconds.
        period: tokens of a repeat.
    """
    steps: list[float] = []
    for before, after in pairwise(times):
        step = after - before
        if step < MIN_TOKEN_S * period:
            break
        if steps and step > MAX_STEP_RATIO * median(steps):
            break
        steps.append(step)
    return len(steps) + 1


class SettledText(NamedTuple):
    """What becomes of a text that may repeat itself."""

    n_tokens: int
    """So many of its tokens are kept."""
    is_spoken: bool
    """It repeats what is said again and again."""
    goes_on: bool
    """The last of the repeats is spoken, too."""


def settle(
    tokens: Sequence[int], alignment: torch.Tensor | None, duration_s: float, eot: int
) -> SettledText:
    """Keep the repeats that are spoken, or the phrase's first time if fewer than three are.

    Args:
        tokens: of a window; its text is what lies below `eot`.
        alignment: (heads, tokens or one more, 1500); None where the model has no such heads.
        duration_s: of the window.
        eot: the end of text.
    """
    text_at = [n for n, token in enumerate(tokens) if token < eot]
    found = find_repetition([tokens[n] for n in text_at], min_tokens=0)
    if found is None:
        return SettledText(len(tokens), is_spoken=False, goes_on=False)
    start, period = found
    n_repeats = (len(text_at) - start) // period
    spoken = 1
    if alignment is not None:
        attention = normalized_attention(alignment, frames_of(duration_s)).cpu()
        looked_at = attention.argmax(dim=1)[text_at[start:]]
        # A phrase's tokens: one that looks elsewhere does not matter.
        repeats = looked_at[: n_repeats * period].view(n_repeats, period).float()
        times = (repeats.quantile(0.5, dim=1) * AUDIO_FRAME_S).tolist()
        spoken = n_spoken(times, period)
    is_spoken = spoken >= MIN_REPETITIONS
    after = start + period * (spoken if is_spoken else 1)
    n_tokens = text_at[after] if after < len(text_at) else len(tokens)
    return SettledText(n_tokens, is_spoken, goes_on=is_spoken and spoken == n_repeats)
