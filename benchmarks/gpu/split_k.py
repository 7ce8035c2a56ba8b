"""Cross-attention for a step's few queries and a window's many keys, split over the keys.

A prototype in Triton, to know what a kernel of one's own would bring: Triton needs a C compiler,
which the host's container has not. The split is of a fixed size and queries are filled up to 16, so
that no row's result depends on the batch or on how many tokens are checked. int8: a scale a
channel, which the query takes in before and the result after, so that the inner loop reads int8.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"
from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

SPLIT, BLOCK, QUERIES = 256, 64, 16


@triton.jit
def _partial(
    q, k, v, most, total, heard, t, n,
    D: tl.constexpr, PARTS: tl.constexpr, SPLIT: tl.constexpr, BLOCK: tl.constexpr,
    N: tl.constexpr,
):  # fmt: skip
    row, part = tl.program_id(0).to(tl.int64), tl.program_id(1)
    columns, channels = tl.arange(0, N), tl.arange(0, D)
    place = q + (row * n + columns[:, None]) * D + channels[None, :]
    query = tl.load(place, mask=columns[:, None] < n, other=0.0)
    high = tl.full((N,), float("-inf"), tl.float32)
    weight = tl.zeros((N,), tl.float32)
    sums = tl.zeros((N, D), tl.float32)
    for first in range(0, SPLIT, BLOCK):
        frames = part * SPLIT + first + tl.arange(0, BLOCK)
        here = frames < t
        at = (row * t + frames[:, None]) * D + channels[None, :]
        keys = tl.load(k + at, mask=here[:, None], other=0).to(tl.float16)
        scores = tl.where(here[None, :], tl.dot(query, tl.trans(keys)), float("-inf"))
        higher = tl.maximum(high, tl.max(scores, 1))
        # A block may lie behind the last frame.
        safe = tl.where(higher == float("-inf"), 0.0, higher)
        p, fade = tl.exp(scores - safe[:, None]), tl.exp(high - safe)
        values = tl.load(v + at, mask=here[:, None], other=0).to(tl.float16)
        sums = sums * fade[:, None] + tl.dot(p.to(tl.float16), values)
        weight = weight * fade + tl.sum(p, 1)
        high = higher
    place = row * PARTS + part
    tl.store(most + place * N + columns, high)
    tl.store(total + place * N + columns, weight)
    tl.store(heard + (place * N + columns[:, None]) * D + channels[None, :], sums)


@triton.jit
def _combine(
    most, total, heard, out, n, D: tl.constexpr, PARTS: tl.constexpr, N: tl.constexpr
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    columns, channels = tl.arange(0, N), tl.arange(0, D)
    high = tl.full((N,), float("-inf"), tl.float32)
    for part in range(PARTS):
        high = tl.maximum(high, tl.load(most + (row * PARTS + part) * N + columns))
    weight, sums = tl.zeros((N,), tl.float32), tl.zeros((N, D), tl.float32)
    for part in range(PARTS):
        place = row * PARTS + part
        share = tl.exp(tl.load(most + place * N + columns) - high)
        weight += share * tl.load(total + place * N + columns)
        at = heard + (place * N + columns[:, None]) * D + channels[None, :]
        sums += share[:, None] * tl.load(at)
    result = (sums / weight[:, None]).to(tl.float16)
    at = out + (row * n + columns[:, None]) * D + channels[None, :]
    tl.store(at, result, mask=columns[:, None] < n)


def split_k(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention, (rows, heads, n, d).

    Args:
        q: (rows, heads, n, d), float16, n at most QUERIES, scaled.
        k: (rows, heads, frames, d), float16 or int8.
        v: as `k`.
    """
    rows, heads, n, d = q.shape
    n_frames = k.shape[2]
    n_parts = -(-n_frames // SPLIT)
    new: Any = {"device": q.device, "dtype": torch.float32}
    most = torch.empty(rows * heads * n_parts, QUERIES, **new)
    total = torch.empty_like(most)
    heard = torch.empty(rows * heads * n_parts, QUERIES, d, **new)
    out = torch.empty_like(q)
    partial: Any = _partial[(rows * heads, n_parts)]
    partial(q, k, v, most, total, heard, n_frames, n, d, n_parts, SPLIT, BLOCK, QUERIES,
            num_warps=4)  # fmt: skip
    combine: Any = _combine[(rows * heads,)]
    combine(most, total, heard, out, n, d, n_parts, QUERIES, num_warps=2)
    return out


def quantized(keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """int8 keys and values, and the scales of both, for each row, head and channel."""
    found = []
    for x in (keys, values):
        scale = x.float().abs().amax(dim=2, keepdim=True).clamp(min=1e-8) / 127
        found += [(x.float() / scale).round().clamp(-127, 127).to(torch.int8), scale]
    return found[0], found[2], found[1], found[3]


def split_k_int8(q: Tensor, k: Tensor, v: Tensor, k_scale: Tensor, v_scale: Tensor) -> Tensor:
    """As `split_k`, of what `quantized` gives; the scales would be fused in the real thing."""
    return (split_k((q * k_scale).half(), k, v) * v_scale).half()
