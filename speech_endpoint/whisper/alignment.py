"""When each word was said, from where the decoder looked while writing it.

The cross-attention of a few heads follows the audio as the text advances; the cheapest monotonic path through it
(dynamic time warping) gives each token its time, as in openai/whisper `timing.py`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from speech_endpoint.transcript import SAMPLE_RATE_HZ, Word
from speech_endpoint.whisper.features import AUDIO_FRAMES
from speech_endpoint.whisper.sequence import Hypothesis
from speech_endpoint.whisper.tokenizer import Vocabulary

SECONDS_PER_FRAME = 0.02
MEDIAN_FRAMES = 7


def token_times(alignment: torch.Tensor, frames: int) -> np.ndarray:
    """The time at which each token begins, shape (tokens,), seconds.

    Args:
        alignment: attention weights, (heads, tokens, 1500), float32.
        frames: how many of the frames hold audio.
    """
    weights = alignment[:, :, :frames]
    deviation, mean = torch.std_mean(weights, dim=1, keepdim=True, unbiased=False)
    # The median after the mean, not before it as in openai/whisper: the same times for an eighth of the work.
    weights = _median(((weights - mean) / deviation.clamp(min=1e-6)).mean(dim=0))
    return warp(-weights.double().numpy()) * SECONDS_PER_FRAME


def _median(weights: torch.Tensor) -> torch.Tensor:
    if weights.shape[-1] <= MEDIAN_FRAMES // 2:
        return weights
    side = MEDIAN_FRAMES // 2
    return (
        F.pad(weights, (side, side), mode="reflect")
        .unfold(-1, MEDIAN_FRAMES, 1)
        .median(dim=-1)
        .values
    )


def warp(cost: np.ndarray) -> np.ndarray:
    """The column at which the cheapest monotonic path enters each row of `cost`, shape (rows, columns).

    Each step goes one row on, one column on, or both. A whole row is computed at once: entering it at column k and
    leaving it at j costs the sum of its cells from k to j, so the best k for every j is a running minimum.
    """
    rows, columns = cost.shape
    arrived = np.full(
        columns, np.inf
    )  # cost of the best path that comes from the row above, before the cell's own
    arrived[0] = 0.0
    totals = np.empty((rows, columns))
    entries = np.empty((rows, columns), dtype=np.int64)
    for i in range(rows):
        sums = np.cumsum(cost[i])
        saved = arrived - (sums - cost[i])
        best = np.minimum.accumulate(saved)
        better = saved < np.concatenate(([np.inf], best[:-1]))
        entries[i] = np.maximum.accumulate(np.where(better, np.arange(columns), 0))
        totals[i] = sums + best
        arrived = np.minimum(totals[i], np.concatenate(([np.inf], totals[i, :-1])))
    entered = np.zeros(rows, dtype=np.int64)
    at = columns - 1
    for i in range(rows - 1, -1, -1):
        entered[i] = at = entries[i, at]
        if i and at and totals[i - 1, at - 1] <= totals[i - 1, at]:
            at -= 1
    return entered


def timed_words(hypothesis: Hypothesis, vocabulary: Vocabulary) -> list[list[Word]]:
    """The words of each segment of a hypothesis; times are seconds from the window's start."""
    tokens = hypothesis.tokens
    segments = split_segments(tokens, vocabulary)
    if not segments:
        return []
    duration = hypothesis.job.samples / SAMPLE_RATE_HZ
    if hypothesis.alignment is not None and hypothesis.alignment.shape[0]:
        frames = max(1, min(AUDIO_FRAMES, round(duration / SECONDS_PER_FRAME)))
        begins = token_times(hypothesis.alignment, frames)
    else:
        begins = _evenly(tokens, vocabulary, duration)
    begins = np.minimum(begins, duration)
    probabilities = np.exp(np.minimum(0.0, np.asarray(hypothesis.log_probabilities)))
    return [
        _segment_words(segment, tokens, begins, probabilities, vocabulary, hypothesis.language)
        for segment in segments
    ]


def split_segments(tokens: tuple[int, ...], vocabulary: Vocabulary) -> list[list[int]]:
    """Indices of the text tokens of each segment: what lies between timestamps."""
    segments: list[list[int]] = [[]]
    for n, token in enumerate(tokens):
        if vocabulary.is_timestamp(token):
            if segments[-1]:
                segments.append([])
        elif token < vocabulary.end:
            segments[-1].append(n)
    return [
        segment
        for segment in segments
        if segment and vocabulary.text([tokens[n] for n in segment]).strip()
    ]


def _segment_words(
    segment: list[int],
    tokens: tuple[int, ...],
    begins: np.ndarray,
    probabilities: np.ndarray,
    vocabulary: Vocabulary,
    language: str,
) -> list[Word]:
    words, at = [], 0
    for group in vocabulary.split_words([tokens[n] for n in segment], language):
        first, after = segment[at], segment[at + len(group) - 1] + 1
        at += len(group)
        start, end = float(begins[first]), float(begins[min(after, len(begins) - 1)])
        probability = float(np.mean(probabilities[first:after]))
        words.append(Word(vocabulary.text(group), start, max(start, end), round(probability, 4)))
    return words


def _evenly(tokens: tuple[int, ...], vocabulary: Vocabulary, duration: float) -> np.ndarray:
    """Times from the timestamps alone, for a checkpoint that names no alignment heads."""
    known = [
        (n, vocabulary.seconds(token))
        for n, token in enumerate(tokens)
        if vocabulary.is_timestamp(token)
    ]
    known = [(-1, 0.0), *known, (len(tokens), duration)]
    places, times = zip(*known, strict=True)
    return np.maximum.accumulate(np.interp(np.arange(len(tokens) + 1), places, times))
