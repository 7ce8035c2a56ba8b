"""NVIDIA GPUs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from speech_endpoint.transcript import Waveform
from speech_endpoint.whisper.backends.base import Backend, Linear
from speech_endpoint.whisper.backends.recording import CudaGraphs, Recorder, fetch

# cuBLAS chooses its kernel, and with it the order of its sums, by the number of rows, and in half
# precision the last bits change words. A step is always computed with a whole number of such
# blocks: the text is the same whatever the batch, drafted or not. Up to this size the weights are
# read once, which is what a step waits for: on an H100 7.4 µs for 128 rows, 7.2 for one.
ROW_BLOCK = 128
# Rows of a matrix whose length is no multiple of 16 bytes are read by slower kernels.
VOCABULARY_MULTIPLE = 64


class VocabularyLinear:
    """The projection to the vocabulary: float32 out of the product, and a row its own."""

    def __init__(self, weight: Tensor, n_tokens: int) -> None:
        """
        Args:
            weight: (at least `n_tokens`, width); the rows beyond are zeros.
            n_tokens: of the vocabulary.
        """
        self.weight, self.n_tokens = weight, n_tokens
        # Rounded to float16 first, logits near 20 are 1/64 apart, and ties are common.
        self._float32_out = weight.is_cuda and "dtype" in torch.ops.aten.mm.overloads()

    def __call__(self, x: Tensor) -> Tensor:
        n_rows = len(x)
        x = F.pad(x, (0, 0, 0, padded_to_blocks(n_rows) - n_rows))
        if self._float32_out and x.dtype != torch.float32:
            logits = torch.mm(x, self.weight.T, out_dtype=torch.float32)
        else:
            logits = F.linear(x, self.weight).float()
        return logits[:n_rows, : self.n_tokens]


def padded_to_blocks(rows: int) -> int:
    """The least whole number of blocks that holds `rows`, in rows."""
    return (rows + ROW_BLOCK - 1) // ROW_BLOCK * ROW_BLOCK


# A window's 1,500 frames in parts of 250: flash attention takes 256 at once, and what is taken at
# once it cannot split by how many rows there are.
KEY_PARTS = 6
FLASH_CAPABILITY = (8, 0)
# Of the memory that is free, so much may be a recording.
MAX_HELD = 0.05


class CudaBackend(Backend):
    """PyTorch's own kernels on a GPU, which works while the host goes on."""

    is_asynchronous = True
    awaits_room = True
    records_steps = True
    warms_up = True

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__(device, dtype)
        self._has_flash = (
            dtype != torch.float32
            and torch.cuda.is_available()
            and torch.cuda.get_device_capability(device) >= FLASH_CAPABILITY
        )

    def free_bytes(self) -> int:
        free, _ = torch.cuda.mem_get_info(self.device)
        # Of what PyTorch has taken from the device, it gives out again what no tensor uses.
        reserved = torch.cuda.memory_reserved(self.device)
        return free + reserved - torch.cuda.memory_allocated(self.device)

    def hold(self, waveform: Waveform) -> Waveform | Tensor:
        """On the GPU: one copy, and not one a window; not where many hours would take slots' place.

        By the driver's own pinned buffer: to pin an hour of audio takes as long as to copy it.
        """
        if waveform.nbytes > MAX_HELD * self.free_bytes():
            return waveform
        return torch.from_numpy(waveform).to(self.device)

    def synchronize(self) -> None:
        torch.cuda.synchronize(self.device)

    def later(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        wait = fetch((work(),))
        return lambda: wait()[0]

    def recorder(self) -> Recorder:
        return CudaGraphs(self.device)

    def padded_rows(self, rows: int) -> int:
        return padded_to_blocks(rows)

    def vocabulary(self, embedding: Tensor, projection: Tensor | None) -> tuple[Tensor, Linear]:
        table = self._vocabulary_table(embedding)
        own = table if projection is None else self._vocabulary_table(projection)
        return table, VocabularyLinear(own, len(embedding))

    def _vocabulary_table(self, weight: Tensor) -> Tensor:
        return F.pad(weight.to(self.dtype), (0, 0, 0, -len(weight) % VOCABULARY_MULTIPLE))

    # Values lie (…, frames, d), as keys do: the layout that fused attention reads.

    def new_cross_values(self, *leading: int, n_frames: int, head_width: int) -> Tensor:
        shape = (*leading, n_frames, head_width)
        return torch.empty(shape, dtype=self.dtype, device=self.device)

    def project_cross_values(
        self, audio_features: Tensor, weight: Tensor, bias: Tensor, out: Tensor
    ) -> None:
        values = F.linear(audio_features, weight, bias)
        out.copy_(values.view(len(values), len(out), -1).transpose(0, 1))

    def split_cross_values(self, values: Tensor, n_parts: int, part_frames: int) -> Tensor:
        parts = values[:, :, : n_parts * part_frames].unflatten(2, (n_parts, part_frames))
        return parts.movedim(2, 1)

    def self_attention(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        return _attention(query, key, value, mask)

    def cross_attention(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Scores in float32; arguments as in `Backend.cross_attention`.

        On a GPU in parts of the keys, always as many, so that one row too keeps it busy ("flash
        decoding": Dao et al. 2023), and the result does not depend on the rows beside it.
        """
        if not query.is_cuda or key.shape[2] % KEY_PARTS:
            return _attention(query, key, value, None)
        return _attention_in_parts(query, key, value, KEY_PARTS, self._has_flash)


def _attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Attention whose result for a row does not depend on the rows beside it.

    Flash attention splits the keys when there are few rows, and so sums in another order; the
    memory-efficient kernel walks through all keys of a head, whatever the batch is.
    """
    kernels = [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
    with sdpa_kernel(kernels, set_priority=True):
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=1.0)


def _attention_in_parts(
    query: Tensor, key: Tensor, value: Tensor, n_parts: int, has_flash: bool
) -> Tensor:
    """Attention to each part of the keys by itself, joined by the weight that each part has."""
    n_heads, n_queries = query.shape[1:3]
    of_parts = query[:, :, None].expand(-1, -1, n_parts, -1, -1).flatten(1, 2)
    keys, values = (each.unflatten(2, (n_parts, -1)).flatten(1, 2) for each in (key, value))
    aten = torch.ops.aten
    if has_flash:
        attended, log_weights, *_ = aten._scaled_dot_product_flash_attention(
            of_parts, keys, values, scale=1.0
        )
    else:
        attended, log_weights, *_ = aten._scaled_dot_product_efficient_attention(
            of_parts, keys, values, None, True, scale=1.0
        )
    weights = log_weights[:, :, :n_queries].unflatten(1, (n_heads, n_parts)).softmax(dim=2)
    joined = attended.unflatten(1, (n_heads, n_parts)) * weights[..., None]
    return joined.sum(dim=2).to(query.dtype)
