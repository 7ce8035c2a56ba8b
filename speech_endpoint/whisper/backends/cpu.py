"""What depends on the hardware: number formats and the kernels of linear layers. Everything else is the same code.

Measured on a 2-core x86 CPU with AMX, 512 → 51865, one row: float32 3.7 ms, bfloat16 2.5 ms, int8 0.7 ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch.nn import functional as F


class Linear(Protocol):
    """y = x Wᵀ + b, for x of shape (…, in)."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor: ...


class DenseLinear:
    """A linear layer in the number format of its weight."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        self.weight, self.bias = weight, bias

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.weight, self.bias)


class PackedLinear:
    """A bfloat16 linear layer on a CPU whose weight oneDNN has laid out once, and not anew at every call."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, rows: int) -> None:
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
        self.bias = bias

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, "none", [], "")


# A row's result depends, in its last bits, on how many rows oneDNN computes with it, and in bfloat16 those bits change
# words. In blocks of one size it does not: the text is the same drafted or not. Up to this size a block costs one row.
ROW_BLOCK = 32


class BlockedLinear(PackedLinear):
    """The same for the rows of a decoding step, (rows, in)."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        super().__init__(weight, bias, ROW_BLOCK)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        rows, linear = len(x), super().__call__
        if rows % ROW_BLOCK:
            x = F.pad(x, (0, 0, 0, -rows % ROW_BLOCK))
        y = (
            linear(x)
            if len(x) == ROW_BLOCK
            else torch.cat([linear(block) for block in x.split(ROW_BLOCK)])
        )
        return y[:rows]


def _is_packed(device: torch.device, dtype: torch.dtype) -> bool:
    return device.type == "cpu" and dtype == torch.bfloat16 and torch.backends.mkldnn.is_available()


class Int8Linear:
    """int8 × int8 on a CPU (oneDNN): weights with a scale per output channel, inputs with a scale per row.

    A scale per row, and exact integer sums, make a row's result independent of the rows that it is computed with:
    decoding gives the same text at every batch size, drafted or not.
    """

    def __init__(
        self, weight: torch.Tensor, bias: torch.Tensor | None, out_dtype: torch.dtype
    ) -> None:
        scale = weight.abs().amax(dim=1).clamp_(min=1e-8) / 127
        quantized = (weight / scale[:, None]).round_().clamp_(-127, 127).to(torch.int8)
        self.packed = torch.ops.onednn.qlinear_prepack(quantized, None)
        self.scale = scale.float()
        self.zero_points = torch.zeros(weight.shape[0], dtype=torch.int64)
        self.bias = None if bias is None else bias.float()
        self.out_dtype = out_dtype

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.reshape(-1, x.shape[-1]).float()
        row_scale = rows.abs().amax(dim=1, keepdim=True).clamp_(min=1e-8) / 127
        # oneDNN's fast kernels take unsigned inputs: 128 stands for zero.
        quantized = (rows / row_scale).round_().add_(128).to(torch.uint8)
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


def pick_device(device: str) -> torch.device:
    """The device that a setting names; "auto" is a GPU where there is one."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(device)


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return device.type == "cpu" and bool(native)


@dataclass(frozen=True, slots=True)
class Precision:
    """The number formats of a model."""

    dtype: torch.dtype
    int8_layers: bool = False
    """int8 in the decoder's layers."""
    int8_vocabulary: bool = False
    """int8 in the projection to the vocabulary, the largest matrix of a decoding step; its logits stay float32."""


def pick_precision(
    dtype: Literal["auto", "float32", "bfloat16", "float16"],
    quantization: Literal["auto", "none", "int8"],
    device: torch.device,
) -> Precision:
    """The formats that the settings name; "auto" is the fastest combination that keeps the text."""
    if device.type != "cpu":
        named = torch.float16 if dtype == "auto" else getattr(torch, dtype)
        return Precision(named)
    # bfloat16 pays only where the CPU multiplies it natively.
    chosen = (
        (torch.bfloat16 if has_bfloat16(device) else torch.float32)
        if dtype == "auto"
        else getattr(torch, dtype)
    )
    automatic = quantization == "auto" and chosen == torch.bfloat16
    # With AMX a small bfloat16 product takes less time than rounding its input to int8 does.
    layers = automatic and not torch.cpu._is_amx_tile_supported()
    return Precision(chosen, quantization == "int8" or layers, quantization == "int8" or automatic)


def rows_of_step(rows: int, device: torch.device, precision: Precision) -> int:
    """How many rows to compute in a step of so many: padded once, where each `BlockedLinear` would pad anew."""
    if precision.int8_layers or not _is_packed(device, precision.dtype):
        return rows
    return -(-rows // ROW_BLOCK) * ROW_BLOCK


def make_linear(
    weight: torch.Tensor, bias: torch.Tensor | None, dtype: torch.dtype, rows: int
) -> Linear:
    """A linear layer, from float32 weights, for about so many rows at once."""
    weight, bias = weight.to(dtype), None if bias is None else bias.to(dtype)
    return (
        PackedLinear(weight, bias, rows)
        if _is_packed(weight.device, dtype)
        else DenseLinear(weight, bias)
    )


def make_step_linear(
    weight: torch.Tensor, bias: torch.Tensor | None, dtype: torch.dtype, *, int8: bool
) -> Linear:
    """A linear layer, from float32 weights, for decoding steps."""
    if int8:
        return Int8Linear(weight, bias, dtype)
    weight, bias = weight.to(dtype), None if bias is None else bias.to(dtype)
    return (
        BlockedLinear(weight, bias)
        if _is_packed(weight.device, dtype)
        else DenseLinear(weight, bias)
    )


def attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Scaled dot-product attention of already scaled queries, (batch, heads, n, d), and keys (batch, heads, t, d)."""
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=1.0)


def attend_to_text(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """`attend` for the queries of a decoding step and the text so far; `mask` is (batch, 1, n, t)."""
    if query.device.type == "cpu" and query.shape[2] == 1:
        # A single query takes another kernel, whose last bits differ from those of two and more.
        return attend(
            query.expand(-1, -1, 2, -1).contiguous(), key, value, mask.expand(-1, -1, 2, -1)
        )[:, :, :1]
    return attend(query, key, value, mask)


def attend_to_audio(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """`attend` for the few queries of a decoding step and the many keys of a window.

    Shapes: query (batch, heads, n, d), key (batch, heads, t, d), value (batch, heads, d, t). By plain products: eight
    queries then cost what one does, and none depends on how many there are.
    """
    q, k, v = query.flatten(0, 1), key.flatten(0, 1), value.flatten(0, 1)
    if query.device.type == "cpu" and query.dtype == torch.bfloat16:
        # oneDNN repacks the right-hand matrix at every call: with the cache on the left it is only read, at the
        # memory's speed (20 windows of whisper-base: 2.9 ms a layer, 4.1 the other way around).
        weights = torch.softmax(torch.bmm(k, q.transpose(1, 2)).transpose(1, 2), dim=-1)
        heard = torch.bmm(v, weights.transpose(1, 2)).transpose(1, 2)
    else:
        weights = torch.softmax(torch.bmm(q, k.transpose(1, 2)), dim=-1)
        heard = torch.bmm(weights, v.transpose(1, 2))
    return heard.reshape(query.shape)


def windows_encoded_together(device: torch.device) -> int:
    """How many windows the encoder takes at once.

    On a CPU one, whose activations stay in cache and whose blocks malloc keeps (larger ones it returns to the system,
    and every use takes page faults again): 80 ms a window, 130 ms in fours.
    """
    return 1 if device.type == "cpu" else 8
