"""Linear layers of oneDNN, for CPUs."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


class PackedLinear:
    """A bfloat16 linear layer whose weight oneDNN has laid out once, and not anew at every call."""

    def __init__(self, weight: Tensor, bias: Tensor | None, rows: int) -> None:
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
        self.bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        x = x.to(torch.bfloat16)
        return torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, "none", [], "")


# A row's result depends, in its last bits, on how many rows oneDNN computes with it, and in
# bfloat16 those bits change words. In blocks of one size it does not: the text is the same drafted
# or not. Up to this size a block costs what one row does.
ROW_BLOCK = 32


def padded_to_blocks(rows: int) -> int:
    """The least whole number of blocks that holds `rows`, in rows."""
    return (rows + ROW_BLOCK - 1) // ROW_BLOCK * ROW_BLOCK


class BlockedLinear(PackedLinear):
    """A bfloat16 linear layer for (rows, in); a row does not depend on how many there are."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__(weight, bias, ROW_BLOCK)

    def __call__(self, x: Tensor) -> Tensor:
        n_rows, linear = len(x), super().__call__
        missing = padded_to_blocks(n_rows) - n_rows
        if missing:
            x = F.pad(x, (0, 0, 0, missing))
        if len(x) == ROW_BLOCK:
            return linear(x)[:n_rows]
        return torch.cat([linear(block) for block in x.split(ROW_BLOCK)])[:n_rows]


class Int8Linear:
    """int8 × int8: weights with a scale per output channel, inputs with a scale per row.

    A scale per row, and exact integer sums, make a row's result independent of the rows that it is
    computed with.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, out_dtype: torch.dtype) -> None:
        scale = weight.abs().amax(dim=1).clamp_(min=1e-8) / 127
        quantized = (weight / scale[:, None]).round_().clamp_(-127, 127).to(torch.int8)
        self.packed = torch.ops.onednn.qlinear_prepack(quantized, None)
        self.scale = scale.float()
        self.zero_points = torch.zeros(weight.shape[0], dtype=torch.int64)
        self.bias = None if bias is None else bias.float()
        self.out_dtype = out_dtype

    def __call__(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1]).float()
        row_scale = rows.abs().amax(dim=1, keepdim=True).clamp_(min=1e-8).div_(127)
        # oneDNN's fast kernels take unsigned inputs: 128 stands for zero.
        quantized = _bytes(torch.quantize_per_tensor(rows / row_scale, 1.0, 128, torch.quint8))
        y = torch.ops.onednn.qlinear_pointwise(
            quantized,
            1.0,
            128,
            self.packed,
            self.scale,
            self.zero_points,
            None,
            1.0,
            0,
            torch.float32,
            "none",
            [],
            "none",
        )
        y.mul_(row_scale)
        if self.bias is not None:
            y.add_(self.bias)
        return y.to(self.out_dtype).view(*x.shape[:-1], -1)


def _bytes(quantized: Tensor) -> Tensor:
    """The integers of a quantized tensor, which `int_repr` would copy; for uint8 ones."""
    integers = torch.empty(0, dtype=torch.uint8)
    return integers.set_(quantized.untyped_storage(), 0, quantized.shape, quantized.stride())
