"""What a device decides: number formats, linear layers, attention, the caches' layout.

A backend is chosen once, when models are loaded; everything else is the same code on every device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from speech_endpoint.hardware import release_memory
from speech_endpoint.memory import n_that_fit
from speech_endpoint.transcript import Waveform
from speech_endpoint.whisper.backends.recording import Recorder


class Linear(Protocol):
    """y = x Wᵀ + b, for x of shape (…, in), in a number format of its own."""

    def __call__(self, x: Tensor) -> Tensor: ...


class DenseLinear:
    """A linear layer in the number format of its weight, by PyTorch's own product."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.weight, self.bias = weight, bias

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


class Backend:
    """PyTorch's own kernels, which serve on any device."""

    encoder_batch_size = 4
    """Windows that the encoder takes at once, of those that are admitted together."""
    begun_together = 4
    """Windows that are encoded, and read their prompts, between two steps."""
    reuses_silence = False
    """Whether a window's silent end is not encoded but taken from a silent window: another number
    here and there, and a fraction of the time for a short clip. Not where text is to be exact."""
    feed_forward_frames = 1500
    """Frames that the encoder's feed-forward networks take at once."""
    reserved_bytes = 2 * 2**30
    """Memory that slots leave free, for everything else that decoding takes."""
    is_asynchronous = False
    """Whether the device works while the host goes on. What a step has finished is then handed out
    when the next one is under way, so that words are timed meanwhile."""
    awaits_room = False
    """Whether windows that wait are begun only when so many have room: one pass of encoder and
    prompt takes about as long for all of them as for one."""
    records_steps = False
    """Whether a step is recorded when it is first needed, which takes longer than the step."""
    warms_up = False
    """Whether kernels are loaded when they are first used, for which no caller should wait."""
    drafting_scales_with_rows = False
    """Whether a draft takes its time row by row: a probe with few rows then tells only of those."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self.device, self.dtype = device, dtype

    @property
    def residual_dtype(self) -> torch.dtype:
        """Number format in which the encoder's layers add what they compute to their input."""
        return self.dtype

    @property
    def number_formats(self) -> str:
        """For the log."""
        return str(self.dtype).removeprefix("torch.")

    def free_bytes(self) -> int | None:
        """Memory of the device that may still be taken; None where that is not known."""
        return None

    def slots_that_fit(self, n_slots: int, slot_bytes: int) -> int:
        """How many of `n_slots` slots of a cache there is memory for, at least one."""
        return n_that_fit(n_slots, slot_bytes, self.free_bytes(), self.reserved_bytes)

    def hold(self, waveform: Waveform) -> Waveform | Tensor:
        """A recording, (samples,), where its windows are read from: on the host, or copied."""
        return waveform

    def release_memory(self) -> None:
        """Give back what is kept for later tensors, after memory has run out."""
        release_memory(self.device)

    def linear(self, weight: Tensor, bias: Tensor | None, rows: int) -> Linear:
        """A linear layer for about `rows` rows at once.

        Args:
            weight: (out, in), float32.
            bias: (out,), float32, or None.
        """
        return self._dense(weight, bias)

    def feed_forward_linear(self, weight: Tensor, bias: Tensor | None, rows: int) -> Linear:
        """A linear layer of the encoder's feed-forward networks; arguments as in `linear`."""
        return self.linear(weight, bias, rows)

    def step_linear(self, weight: Tensor, bias: Tensor | None) -> Linear:
        """A linear layer for the few rows of a decoding step; arguments as in `linear`."""
        return self._dense(weight, bias)

    def lm_head(self, weight: Tensor) -> Linear:
        """The projection to the vocabulary, the largest matrix of a step: (vocabulary, width)."""
        return self.step_linear(weight, None)

    def vocabulary(self, embedding: Tensor, projection: Tensor | None) -> tuple[Tensor, Linear]:
        """The embedding of tokens, and the projection to them.

        Args:
            embedding: (vocabulary, width), float32.
            projection: the same for the way back; None: the embedding.

        Returns:
            At least (vocabulary, width), in the model's number format, and the layer.
        """
        weight = embedding if projection is None else projection
        return embedding.to(self.dtype), self.lm_head(weight)

    def padded_rows(self, rows: int) -> int:
        """How many rows to compute in a step that has `rows`."""
        return rows

    def attention_scale(self, head_width: int) -> float:
        """What `attention` has its queries multiplied by."""
        return float(head_width**-0.5)

    def attention(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attention of all to all.

        Args:
            query: (batch, heads, n, d), multiplied by `attention_scale`.
            key: (batch, heads, t, d).
            value: (batch, heads, t, d).

        Returns:
            (batch, heads, n, d).
        """
        return F.scaled_dot_product_attention(query, key, value, scale=1.0)

    def self_attention(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        """Attention of a step's queries to the text so far.

        Args:
            query: (batch, heads, n, d), already scaled.
            key, value: as in `attention`.
            mask: (batch, 1, n, t), added to the scores: 0, and -inf where a query may not look.
        """
        return F.scaled_dot_product_attention(
            query.contiguous(), key, value, attn_mask=mask, scale=1.0
        )

    def new_keys(self, *leading: int, length: int, head_width: int) -> Tensor:
        """An uninitialised cache of keys, (leading …, length, head width), in what order of its
        memory the backend reads best."""
        shape = (*leading, length, head_width)
        return torch.empty(shape, dtype=self.dtype, device=self.device)

    def write_cross_keys(self, keys: Tensor, out: Tensor) -> None:
        """Write a window's keys into its slot of the cache.

        Args:
            keys: (frames, width).
            out: (heads, frames, d), one layer's slot of `new_keys`.
        """
        out.copy_(keys.view(len(keys), len(out), -1).transpose(0, 1))

    # The layout of the cross-attention's value cache is known to the next four alone. Values lie
    # (…, d, frames); in what order of its memory, a backend may choose.

    def new_cross_values(self, *leading: int, n_frames: int, head_width: int) -> Tensor:
        """An uninitialised value cache: `leading` dimensions, then those of a window's values."""
        shape = (*leading, head_width, n_frames)
        return torch.empty(shape, dtype=self.dtype, device=self.device)

    def project_cross_values(
        self, audio_features: Tensor, weight: Tensor, bias: Tensor, out: Tensor
    ) -> None:
        """Write a window's values into its slot of the cache.

        Args:
            audio_features: (frames, width).
            weight: (width, width).
            bias: (width,).
            out: one layer's slot of `new_cross_values`.
        """
        torch.addmm(bias[:, None], weight, audio_features.T, out=out.view(-1, len(audio_features)))

    def split_cross_values(self, values: Tensor, n_parts: int, part_frames: int) -> Tensor:
        """Cut the first frames of one slot to parts, as a cache of their own.

        Args:
            values: (layers, heads, …), of `new_cross_values`.
            n_parts: how many.
            part_frames: of each part.

        Returns:
            (layers, parts, heads, …).
        """
        parts = values[..., : n_parts * part_frames].unflatten(-1, (n_parts, part_frames))
        return parts.movedim(-2, 1)

    def cross_attention(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attention of a step's few queries to the many frames of a window.

        By plain products: eight queries then cost what one does, and none depends on how many
        there are.

        Args:
            query: (batch, heads, n, d), already scaled.
            key: (batch, heads, frames, d).
            value: (batch, heads, …), of `new_cross_values`.

        Returns:
            (batch, heads, n, d).
        """
        q, k, v = query.flatten(0, 1), key.flatten(0, 1), value.flatten(0, 1)
        weights = torch.softmax(torch.bmm(q, k.transpose(1, 2)), dim=-1)
        return torch.bmm(weights, v.transpose(1, 2)).reshape(query.shape)

    def recorder(self) -> Recorder | None:
        """What records steps to replay them; None where they are issued one by one."""
        return None

    def later(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """Have work done on the device; what waits for its result, and returns it on the host.

        What the work reads may change as soon as this returns, but for tensors that it holds.
        """
        return work

    def synchronize(self) -> None:
        """Wait until the device has done what it was given, before a clock is read."""

    def _dense(self, weight: Tensor, bias: Tensor | None) -> Linear:
        return DenseLinear(*self._cast(weight, bias))

    def _cast(self, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
        return weight.to(self.dtype), None if bias is None else bias.to(self.dtype)
