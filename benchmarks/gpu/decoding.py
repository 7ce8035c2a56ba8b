"""Windows through the engine; for models that have learnt nothing, by a script.

Everything is computed as always; then the script's token is made the likeliest. A script knows the
position alone (and a row's length), so that it is the same whatever issues the steps, and can be
part of a captured step.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from benchmarks.gpu.measure import Bench
from benchmarks.gpu.models import SHAPES, random_checkpoint
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Waveform
from speech_endpoint.whisper.alignment import timed_words, token_times
from speech_endpoint.whisper.backends.base import Backend
from speech_endpoint.whisper.backends.cuda import CudaBackend
from speech_endpoint.whisper.batching.draft_length import DEFAULT_DRAFT_POLICY, DraftPolicy
from speech_endpoint.whisper.batching.engine import Engine
from speech_endpoint.whisper.batching.sequence import (
    DecodeOptions,
    DecodeRequest,
    DecodeResult,
    DecodingStatistics,
    RequestGroup,
)
from speech_endpoint.whisper.batching.speculation import DraftModel
from speech_endpoint.whisper.checkpoint import Checkpoint
from speech_endpoint.whisper.checkpoint.published import Sizes
from speech_endpoint.whisper.model.whisper import WhisperModel
from speech_endpoint.whisper.tokenizer import Tokenizer

# An hour of this project's own recordings: windows, and tokens of each (mean, deviation).
WINDOWS_AN_HOUR, TOKENS, TOKENS_DEVIATION = 160, 84, 22
MIN_TOKENS, MAX_TOKENS = 30, 160
WINDOW_S = 28
WRONG = 999
LIKELIEST = 1e4


def always_draft(length: int) -> DraftPolicy:
    """Whatever it costs, and whether or not a guess is right."""
    return DraftPolicy(
        max_probe_cost=float("inf"), probe_steps=0, give_up_after=10**9, fixed_length=length
    )


@dataclass(frozen=True)
class Decoded:
    """What became of some windows."""

    results: list[DecodeResult]
    statistics: DecodingStatistics
    seconds: float
    words_s: float
    """Of them, for the words' times."""

    def facts(self, bench: Bench) -> dict[str, Any]:
        """For a line of results."""
        stats = self.statistics
        return {
            "seconds": round(self.seconds, 2),
            "steps": stats.steps,
            "tokens": stats.tokens,
            "ms_a_step": round(1000 * self.seconds / max(1, stats.steps), 2),
            "tokens_a_row_step": round(stats.tokens / max(1, stats.row_steps), 2),
            "words_s": round(self.words_s, 2),
            "peak_gib": bench.peak_gib(),
        }


def decode(
    bench: Bench,
    model: WhisperModel,
    windows: Sequence[Waveform],
    n_slots: int,
    draft: DraftModel | None = None,
    policy: DraftPolicy = DEFAULT_DRAFT_POLICY,
    engine: Engine | None = None,
) -> Decoded:
    """Decode windows with word times, results in their order; in an engine that has been used, or
    in a new one, which records its steps first."""
    group = RequestGroup(DecodeOptions(language="en", assisted=draft is not None))
    engine = engine or Engine(model, n_slots, draft, policy)
    found: dict[int, DecodeResult] = {}
    words_s = 0.0
    bench.forget_peak()
    bench.wait()
    started = time.perf_counter()
    for n, window in enumerate(windows):
        engine.add(DecodeRequest(group, n, float(n), (window,), fallback=False))
    while engine.busy:
        for result in engine.step():
            assert isinstance(result, DecodeResult)
            found[result.request.index] = result
            before = time.perf_counter()
            timed_words(result, model.tokenizer)
            words_s += time.perf_counter() - before
    bench.wait()
    seconds = time.perf_counter() - started
    results = [found[n] for n in range(len(windows))]
    return Decoded(results, group.statistics, seconds, words_s)


def compared(theirs: Sequence[DecodeResult], ours: Sequence[DecodeResult]) -> dict[str, Any]:
    """How many windows have the same tokens, where the first others are, how far scores and word
    times are apart."""
    differ: list[tuple[int, int]] = []
    score_gap = time_gap_s = 0.0
    for n, (a, b) in enumerate(zip(theirs, ours, strict=True)):
        shorter = min(len(a.tokens), len(b.tokens))
        pairs = zip(a.tokens, b.tokens, strict=False)
        common = next((i for i, (x, y) in enumerate(pairs) if x != y), shorter)
        if a.tokens != b.tokens:
            differ.append((n, common))
        elif a.attention is not None and b.attention is not None and a.tokens:
            one, other = token_times(a.attention()), token_times(b.attention())
            time_gap_s = max(time_gap_s, float(np.abs(one - other).max()))
        scores = zip(a.log_probabilities[:common], b.log_probabilities[:common], strict=True)
        score_gap = max([score_gap, *(abs(x - y) for x, y in scores)])
    return {
        "same": f"{len(theirs) - len(differ)}/{len(theirs)}",
        "differ_at": differ[:6],
        "log_p_gap": round(score_gap, 4),
        "time_gap_s": round(time_gap_s, 3),
    }


def noise(n_windows: int, seconds: int = WINDOW_S) -> list[Waveform]:
    """Windows of noise, each the same."""
    drawn = np.random.default_rng(1).normal(0, 0.05, seconds * SAMPLE_RATE_HZ)
    return [drawn.astype(np.float32)] * n_windows


def backend_of(bench: Bench, dtype: torch.dtype | None = None) -> Backend:
    """PyTorch's own kernels on the device, as an endpoint has them there."""
    kind = CudaBackend if bench.device.type == "cuda" else Backend
    return kind(bench.device, dtype or bench.dtype)


@contextlib.contextmanager
def issued_directly(model: WhisperModel) -> Iterator[None]:
    """Let new engines issue their steps one by one, on a device that records them."""
    with mock.patch.object(type(model.backend), "recorder", return_value=None):
        yield


class ScriptedDecoder:
    """A decoder whose likeliest token is the script's."""

    def __init__(self, decoder: Any, tokenizer: Tokenizer, table: Tensor) -> None:
        """
        Args:
            decoder: computes the logits.
            tokenizer: its.
            table: (rows, positions), the n-th token after the initial ones.
        """
        self._decoder, self._table = decoder, table
        self._n_initial = len(tokenizer.initial_tokens("en", "transcribe"))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decoder, name)

    def step(
        self, tokens: Tensor, positions: Tensor, cache: Any, length: int, logits_from: int = 0
    ) -> Tensor:
        logits: Tensor = self._decoder.step(tokens, positions, cache, length, logits_from)
        if logits.numel() == 0:
            return logits
        at = positions[:, logits_from:] + 1 - self._n_initial
        forced = self._table[: len(at)].gather(1, at.clamp(0, self._table.shape[1] - 1))
        weight = (at >= 0).to(logits.dtype) * LIKELIEST
        return logits.scatter_add_(2, forced[..., None], weight[..., None])


def script(
    tokenizer: Tokenizer,
    n_rows: int,
    n_positions: int,
    max_tokens: int,
    deviation: float = TOKENS_DEVIATION,
) -> Tensor:
    """(rows, positions): <|0.00|>, text that repeats nothing, <|28.00|>, end; of many lengths."""
    rng = np.random.default_rng(0)
    lengths = rng.normal(TOKENS, deviation, n_rows).clip(MIN_TOKENS, MAX_TOKENS)
    at = np.arange(n_positions)[None]
    text = np.broadcast_to(2000 + at * 7919 % 40_000, (n_rows, n_positions)).copy()
    ends = np.minimum(lengths.astype(int), max_tokens)[:, None]
    text[:, 0] = tokenizer.first_timestamp
    text[at == ends] = tokenizer.first_timestamp + 1400
    text[at > ends] = tokenizer.eot
    return torch.from_numpy(text)


def scripted(
    model: WhisperModel,
    n_rows: int,
    max_tokens: int = MAX_TOKENS,
    right: float = 1.0,
    deviation: float = TOKENS_DEVIATION,
) -> WhisperModel:
    """A model that writes the script; so much of it, as a draft model may. Lengths belong to
    slots: only where they do not differ are two runs the same token for token."""
    # A captured step may have more rows than there are windows.
    table = script(model.tokenizer, 2 * n_rows, model.decoder.max_positions, max_tokens, deviation)
    wrong = np.random.default_rng(2).random(table.shape) >= right
    table[torch.from_numpy(wrong)] = WRONG
    decoder: Any = ScriptedDecoder(model.decoder, model.tokenizer, table.to(model.backend.device))
    return replace(model, decoder=decoder)


def sizes_of(bench: Bench, name: str) -> Sizes:
    """Of large-v3, turbo or distil; small ones have as many decoder layers in proportion."""
    sizes = SHAPES[name]
    if not bench.small:
        return sizes
    layers = {"large-v3": 3, "turbo": 2, "distil": 1}[name]
    few = {"d_model": 32, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "encoder_layers": 1}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    return sizes.model_copy(update=few | heads | {"decoder_layers": layers})


def random_model(bench: Bench, name: str) -> tuple[WhisperModel, Checkpoint]:
    """A model of a shape, and what it was made of."""
    checkpoint = random_checkpoint(sizes_of(bench, name), bench.device, name)
    return WhisperModel.from_checkpoint(checkpoint, backend_of(bench)), checkpoint
