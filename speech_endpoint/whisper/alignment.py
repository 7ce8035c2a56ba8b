"""When each word is spoken, from where the decoder looked while writing it.

The cross-attention of a few heads follows the audio as the text advances; the cheapest monotonic
path through it (dynamic time warping) gives each token its time, as in openai/whisper `timing.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from speech_endpoint.transcript import SAMPLE_RATE_HZ, Word
from speech_endpoint.whisper.batching.sequence import DecodeResult
from speech_endpoint.whisper.confidence import word_probability
from speech_endpoint.whisper.model.features import AUDIO_FRAME_S
from speech_endpoint.whisper.tokenizer import Tokenizer

Times = npt.NDArray[np.floating]


def timed_words(result: DecodeResult, tokenizer: Tokenizer) -> list[list[Word]]:
    """The words of each segment of a window; times are seconds from the window's start."""
    if result.words is not None:
        return [list(words) for words in result.words]
    segments = split_segments(result.tokens, tokenizer)
    if not segments:
        return []
    duration_s = result.request.n_samples / SAMPLE_RATE_HZ
    if result.attention is not None:
        token_starts = token_times(result.attention())
    else:
        token_starts = interpolate_between_timestamps(result.tokens, tokenizer, duration_s)
    token_starts = np.minimum(token_starts, duration_s)
    return [_segment_words(segment, result, token_starts, tokenizer) for segment in segments]


def split_segments(tokens: Sequence[int], tokenizer: Tokenizer) -> list[list[int]]:
    """Indices of the text tokens of each segment: what lies between timestamps."""
    segments: list[list[int]] = [[]]
    for n, token in enumerate(tokens):
        if tokenizer.is_timestamp(token):
            if segments[-1]:
                segments.append([])
        elif tokenizer.is_text(token):
            segments[-1].append(n)
    return [
        segment for segment in segments if tokenizer.decode([tokens[n] for n in segment]).strip()
    ]


def _segment_words(
    segment: Sequence[int],
    result: DecodeResult,
    token_starts: Times,
    tokenizer: Tokenizer,
) -> list[Word]:
    words, at = [], 0
    for group in tokenizer.split_to_words([result.tokens[n] for n in segment]):
        first, after = segment[at], segment[at + len(group) - 1] + 1
        at += len(group)
        start = float(token_starts[first])
        end = float(token_starts[min(after, len(token_starts) - 1)])
        words.append(
            Word(
                text=tokenizer.decode(group),
                start=start,
                end=max(start, end),
                probability=round(word_probability(result.log_probabilities[first:after]), 4),
                tokens=tuple(group),
            )
        )
    return words


def token_times(attention: torch.Tensor) -> Times:
    """The time at which each token begins, shape (tokens,), seconds.

    Args:
        attention: (tokens, frames), as `normalized_attention` makes it; on the host.
    """
    return dtw(-attention.double().numpy()) * AUDIO_FRAME_S


def interpolate_between_timestamps(
    tokens: Sequence[int], tokenizer: Tokenizer, duration_s: float
) -> Times:
    """Token times from the timestamps alone, for a checkpoint that names no alignment heads.

    Returns:
        (tokens + 1,), seconds; the last is the end.
    """
    timestamps = [(n, token) for n, token in enumerate(tokens) if tokenizer.is_timestamp(token)]
    known = [
        (-1, 0.0),
        *((n, tokenizer.timestamp_s(token)) for n, token in timestamps),
        (len(tokens), duration_s),
    ]
    indices, times = zip(*known, strict=True)
    return np.maximum.accumulate(np.interp(np.arange(len(tokens) + 1), indices, times))


def dtw(cost: Times) -> npt.NDArray[np.int64]:
    """Dynamic time warping: the column at which the cheapest monotonic path enters each row.

    Each step of the path goes one row on, one column on, or both. A whole row is computed at once:
    entering it at column k and leaving it at j costs the sum of its cells from k to j, so the best
    k for every j is a running minimum.

    Args:
        cost: (rows, columns).

    Returns:
        (rows,).
    """
    n_rows, n_columns = cost.shape
    # Cost of the best path that arrives at each cell from the row above, before the cell's own.
    arrival_cost = np.full(n_columns, np.inf)
    arrival_cost[0] = 0.0
    totals = np.empty((n_rows, n_columns))
    entries = np.empty((n_rows, n_columns), dtype=np.int64)
    for i in range(n_rows):
        sums = np.cumsum(cost[i])
        reduced_cost = arrival_cost - (sums - cost[i])
        best = np.minimum.accumulate(reduced_cost)
        is_new_minimum = reduced_cost < np.concatenate(([np.inf], best[:-1]))
        entries[i] = np.maximum.accumulate(np.where(is_new_minimum, np.arange(n_columns), 0))
        totals[i] = sums + best
        arrival_cost = np.minimum(totals[i], np.concatenate(([np.inf], totals[i, :-1])))
    entry_columns = np.zeros(n_rows, dtype=np.int64)
    at = n_columns - 1
    for i in range(n_rows - 1, -1, -1):
        entry_columns[i] = at = entries[i, at]
        if i and at and totals[i - 1, at - 1] <= totals[i - 1, at]:
            at -= 1
    return entry_columns
