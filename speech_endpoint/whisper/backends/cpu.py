"""CPUs: oneDNN's bfloat16 and int8.

Measured on a 2-core x86 CPU with AMX, 512 → 51865, one row: float32 3.7 ms, bfloat16 2.5 ms,
int8 0.7 ms.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from speech_endpoint.hardware import has_bfloat16
from speech_endpoint.memory import available_bytes
from speech_endpoint.whisper.backends.base import Backend, Linear
from speech_endpoint.whisper.backends.cpu_attention import BlockwiseAttention, WeightedSums
from speech_endpoint.whisper.backends.cpu_linear import (
    BlockedLinear,
    Int8Linear,
    PackedLinear,
    padded_to_blocks,
)


class CpuBackend(Backend):
    """oneDNN's kernels where it has better ones than PyTorch's generic path."""

    # The activations of one window stay in cache, and malloc keeps blocks of their size; larger
    # ones go back to the system, and every use takes page faults again: 80 ms a window, 130 ms
    # in fours.
    encoder_batch_size = 1
    # Their encodings take one another's time: more would hold up those who are decoded.
    begun_together = 2
    # A window's encoding takes less where it is alone.
    reserved_bytes = 2**29
    drafting_scales_with_rows = True

    def __init__(
        self,
        dtype: Literal["auto", "float32", "bfloat16", "float16"],
        quantization: Literal["auto", "none", "int8"],
    ) -> None:
        """
        Args:
            dtype: auto: bfloat16 where the CPU multiplies it natively, else float32.
            quantization: int8: the decoder's linear layers and the projection to the vocabulary,
                and without AMX the encoder's feed-forward networks; auto, with bfloat16: of these
                what is fastest and keeps the text.
        """
        super().__init__(torch.device("cpu"), _pick_dtype(dtype))
        automatic = quantization == "auto" and self.dtype == torch.bfloat16
        self.int8_lm_head = quantization == "int8" or automatic
        # With AMX a bfloat16 product takes less time than rounding its input to int8 does, and
        # PyTorch's own attention less than plain products.
        has_tiles = torch.cpu._is_amx_tile_supported()
        self.int8_layers = quantization == "int8" or (automatic and not has_tiles)
        self.packs_weights = self.dtype == torch.bfloat16 and torch.backends.mkldnn.is_available()
        self.reuses_silence = self.packs_weights
        blockwise = self.packs_weights and not has_tiles
        self.int8_encoder = self.int8_layers and blockwise
        if self.int8_encoder:
            # What is between the two products, float32, stays in cache.
            self.feed_forward_frames = 300
        self.blockwise_attention = BlockwiseAttention(self.dtype) if blockwise else None
        self.weighted_sums = WeightedSums()

    @property
    def residual_dtype(self) -> torch.dtype:
        # It costs nothing here, and makes up for the scores that blockwise attention rounds.
        return self.dtype if self.blockwise_attention is None else torch.float32

    @property
    def number_formats(self) -> str:
        names = {
            "the encoder's feed-forward networks": self.int8_encoder,
            "decoder layers": self.int8_layers,
            "output matrix": self.int8_lm_head,
        }
        quantized = ", ".join(name for name, is_int8 in names.items() if is_int8)
        return super().number_formats + (f"; int8 for {quantized}" if quantized else "")

    def free_bytes(self) -> int | None:
        return available_bytes()

    def linear(self, weight: Tensor, bias: Tensor | None, rows: int) -> Linear:
        if self.packs_weights:
            return PackedLinear(*self._cast(weight, bias), rows)
        return self._dense(weight, bias)

    def feed_forward_linear(self, weight: Tensor, bias: Tensor | None, rows: int) -> Linear:
        if self.int8_encoder:
            return Int8Linear(weight, bias, self.residual_dtype)
        return self.linear(weight, bias, rows)

    def step_linear(self, weight: Tensor, bias: Tensor | None) -> Linear:
        if self.int8_layers:
            return Int8Linear(weight, bias, self.dtype)
        return self._float_step_linear(weight, bias)

    def lm_head(self, weight: Tensor) -> Linear:
        if self.int8_lm_head:
            return Int8Linear(weight, None, torch.float32)
        return self._float_step_linear(weight, None)

    def padded_rows(self, rows: int) -> int:
        """Padded once here, where each `BlockedLinear` would pad anew."""
        return padded_to_blocks(rows) if self.packs_weights and not self.int8_layers else rows

    def attention_scale(self, head_width: int) -> float:
        scale = super().attention_scale(head_width)
        return scale if self.blockwise_attention is None else scale * math.log2(math.e)

    def attention(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        if self.blockwise_attention is None:
            return super().attention(query, key, value)
        return self.blockwise_attention(query, key, value)

    # What `WeightedSums` reads: keys lie (…, d, length), values (…, length, d).

    def new_keys(self, *leading: int, length: int, head_width: int) -> Tensor:
        return self._new(*leading, head_width, length).mT

    def write_cross_keys(self, keys: Tensor, out: Tensor) -> None:
        # A matrix turned as a whole takes a quarter of the time of one turned head by head.
        out.mT.flatten(0, 1).copy_(keys.T)

    def new_cross_values(self, *leading: int, n_frames: int, head_width: int) -> Tensor:
        return self._new(*leading, n_frames, head_width).mT

    def project_cross_values(
        self, audio_features: Tensor, weight: Tensor, bias: Tensor, out: Tensor
    ) -> None:
        values = F.linear(audio_features, weight, bias)
        out.copy_(values.view(len(values), len(out), -1).permute(1, 2, 0))

    def self_attention(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        q, k, v = query.flatten(0, 1), key.flatten(0, 1), value.flatten(0, 1)
        scores = self.weighted_sums(q, k.mT).unflatten(0, query.shape[:2])
        weights = torch.softmax(scores.add_(mask), dim=-1)
        return self.weighted_sums(weights.flatten(0, 1), v).view(query.shape)

    def cross_attention(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        q, k, v = query.flatten(0, 1), key.flatten(0, 1), value.flatten(0, 1)
        weights = torch.softmax(self.weighted_sums(q, k.mT), dim=-1)
        return self.weighted_sums(weights, v.mT).view(query.shape)

    def _new(self, *shape: int) -> Tensor:
        return torch.empty(shape, dtype=self.dtype, device=self.device)

    def _float_step_linear(self, weight: Tensor, bias: Tensor | None) -> Linear:
        if self.packs_weights:
            return BlockedLinear(*self._cast(weight, bias))
        return self._dense(weight, bias)


def _pick_dtype(name: Literal["auto", "float32", "bfloat16", "float16"]) -> torch.dtype:
    if name == "auto":
        return torch.bfloat16 if has_bfloat16(torch.device("cpu")) else torch.float32
    dtype: torch.dtype = getattr(torch, name)
    return dtype
