"""Attention by plain products, for CPUs without tile multiplication, in bfloat16."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Scores of one block, of all heads: few enough to stay in cache from one product to the next.
MAX_BLOCK_SCORES = 3_000_000
# Row sums within these are exact enough: no weight that counts has been lost below the smallest
# number, and no product with a value exceeds the largest.
MIN_TOTAL, MAX_TOTAL = 2.0**-100, 2.0**100
# From here on a product of matrices takes less time than sums of rows, one for each query. More
# than the widest draft, so that a step's result does not depend on its width.
MAX_SUMS = 16
# Steps see few widths and lengths; the parts of a window whose language is looked for, any.
MAX_KEPT = 16


class BlockwiseAttention:
    """Attention by plain products over blocks of queries, in one buffer that is kept.

    Softmax needs neither its maximum nor a pass of its own: powers of two of the scores, divided by
    their sum after the second product. Where scores are too large for that, their maximum comes off
    first. Not for several threads at once.

    Measured on a 2-core AMD EPYC (Zen 5), bfloat16, 8 heads, 1500 frames, one thread: 15 ms, with
    `torch.softmax` 19 ms, `scaled_dot_product_attention` 60 ms; fresh memory for all scores at once
    costs more than the products.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self._scores = torch.empty(0, dtype=dtype)

    @torch.inference_mode()
    def __call__(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attention of all to all.

        Args:
            query: (batch, heads, n, d), scaled for powers of two instead of e.
            key: (batch, heads, t, d).
            value: (batch, heads, t, d).

        Returns:
            (batch, heads, n, d).
        """
        out = torch.empty_like(query)
        (_, n_heads, n, _), t = query.shape, key.shape[2]
        n_blocks = math.ceil(n_heads * n * t / MAX_BLOCK_SCORES)
        block = math.ceil(n / n_blocks)
        if self._scores.numel() < n_heads * block * t:
            self._scores = self._scores.new_empty(n_heads * block * t)
        for window in range(len(query)):
            keys = key[window].transpose(1, 2)
            parts = query[window].split(block, dim=1), out[window].split(block, dim=1)
            for queries, attended in zip(*parts, strict=True):
                self._attend(queries, keys, value[window], attended)
        return out

    def _attend(self, queries: Tensor, keys: Tensor, values: Tensor, out: Tensor) -> None:
        """(heads, block, d), (heads, d, t), (heads, t, d) to (heads, block, d)."""
        shape = *queries.shape[:2], keys.shape[2]
        weights = self._scores[: math.prod(shape)].view(shape)
        totals = torch.bmm(queries, keys, out=weights).exp2_().sum(dim=-1, keepdim=True)
        if not (float(totals.min()) > MIN_TOTAL and float(totals.max()) < MAX_TOTAL):
            torch.bmm(queries, keys, out=weights)
            weights.sub_(weights.amax(dim=-1, keepdim=True)).exp2_()
            totals = weights.sum(dim=-1, keepdim=True)
        torch.bmm(weights, values, out=out).div_(totals)


class WeightedSums:
    """Sums of a matrix's rows, each row with a weight: (n, t) times (t, d), for few n.

    That is what attention of a step's few queries takes: keys that lie (d, t) are summed with a
    query as weights, values that lie (t, d) with its probabilities. `embedding_bag` reads the rows
    where they lie, at the memory's speed, and sums in float32; `bmm` packs for many columns what it
    uses once. A sum is the same, to the bit, whatever others are computed beside it.

    Measured on a 2-core AMD EPYC (Zen 5), one query in each of 160 heads, 1500 frames, bfloat16,
    one thread: 1.8 ms for scores and product (34 GB/s), `bmm` 4.5 ms.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[int, int, int], tuple[Tensor, Tensor]] = {}
        """Which rows each sum takes, by the number of sums of a matrix, the number of its rows, and
        how many rows a matrix begins after the one before; for the most matrices yet."""

    def __call__(self, weights: Tensor, rows: Tensor) -> Tensor:
        """(matrices, n, t) and (matrices, t, d), in one number format, to (matrices, n, d)."""
        n_matrices, n, t = weights.shape
        if n > MAX_SUMS:
            return torch.bmm(weights, rows)
        if rows.stride(2) != 1 or rows.stride(0) % rows.stride(1):
            rows = rows.contiguous()
        pitch = rows.stride(0) // rows.stride(1)
        n_rows = (n_matrices - 1) * pitch + t
        table = rows.as_strided((n_rows, rows.shape[2]), (rows.stride(1), 1))
        indices, offsets = self._rows_of_sums(n_matrices, n, t, pitch)
        sums = torch.embedding_bag(
            table, indices, offsets, mode=0, per_sample_weights=weights.flatten()
        )[0]
        return sums.view(n_matrices, n, -1)

    def _rows_of_sums(self, n_matrices: int, n: int, t: int, pitch: int) -> tuple[Tensor, Tensor]:
        """The rows of all sums, one after the other, and where each sum's begin."""
        n_sums, key = n_matrices * n, (n, t, pitch)
        kept = self._kept.get(key)
        if kept is None or len(kept[1]) < n_sums:
            first = torch.arange(0, n_matrices * pitch, pitch, dtype=torch.int32)[:, None, None]
            indices = (first + torch.arange(t, dtype=torch.int32)).expand(-1, n, -1).flatten()
            kept = indices, torch.arange(0, n_sums * t, t, dtype=torch.int32)
            if len(self._kept) == MAX_KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = kept
        return kept[0][: n_sums * t], kept[1][:n_sums]
