"""Whisper's encoder and decoder over transformers' weights, written for batched decoding.

Differences from the reference: query, key and value projections are fused, the attention scale is folded into the
query's weights, caches are allocated once, the cross-attention's keys and values are computed once a window, and
each row of a batch stands at its own position.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch.nn import functional as F

from speech_endpoint.whisper.backends.cpu import (
    Int8Linear,
    Linear,
    Precision,
    attend,
    attend_to_audio,
    attend_to_text,
    make_linear,
    make_step_linear,
    rows_of_step,
    windows_encoded_together,
)
from speech_endpoint.whisper.checkpoint import Checkpoint
from speech_endpoint.whisper.features import AUDIO_FRAMES


@dataclass(frozen=True)
class Norm:
    weight: torch.Tensor
    bias: torch.Tensor

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias)


@dataclass(frozen=True)
class Convolution:
    """A convolution over time, three frames wide, as one matrix product (a sixth of the time of `F.conv1d`)."""

    linear: Linear
    stride: int

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, frames, channels in) → (batch, frames / stride, channels out)."""
        frames = F.pad(x, (0, 0, 1, 1)).unfold(1, 3, self.stride)
        return self.linear(frames.transpose(2, 3).flatten(2))


class WeightReader:
    """Hands out layers of a checkpoint in the number format, and on the device, that they will run with."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        prefix: str,
        device: torch.device,
        dtype: torch.dtype,
        int8: bool,
    ) -> None:
        self.weights, self.prefix = checkpoint.weights, prefix
        self.device, self.dtype, self.int8 = device, dtype, int8

    def tensor(self, name: str) -> torch.Tensor:
        return self.weights[self.prefix + name].to(self.device)

    def convolution(self, name: str, stride: int) -> Convolution:
        weight = self.tensor(name + ".weight").transpose(1, 2).flatten(1)
        return Convolution(
            make_linear(weight, self.tensor(name + ".bias"), self.dtype, AUDIO_FRAMES), stride
        )

    def norm(self, name: str) -> Norm:
        return Norm(
            self.tensor(name + ".weight").to(self.dtype), self.tensor(name + ".bias").to(self.dtype)
        )

    def linear(self, *names: str, scale: float = 1.0) -> Linear:
        """One layer of the named ones, stacked, for many rows at once; the first is multiplied by `scale`."""
        weight, bias = self._stacked(names, scale)
        return make_linear(weight, bias, self.dtype, AUDIO_FRAMES)

    def step_linear(self, *names: str, scale: float = 1.0) -> Linear:
        """The same for the few rows of a decoding step."""
        weight, bias = self._stacked(names, scale)
        return make_step_linear(weight, bias, self.dtype, int8=self.int8)

    def _stacked(self, names: Sequence[str], scale: float) -> tuple[torch.Tensor, torch.Tensor]:
        weights = [self.tensor(name + ".weight") for name in names]
        biases = [
            self.tensor(name + ".bias")
            if self.prefix + name + ".bias" in self.weights
            else torch.zeros_like(w[:, 0])
            for name, w in zip(names, weights, strict=True)
        ]
        weights[0], biases[0] = weights[0] * scale, biases[0] * scale
        return torch.cat(weights), torch.cat(biases)


def _heads(x: torch.Tensor, heads: int) -> torch.Tensor:
    """(batch, n, width) → (batch, heads, n, width / heads)."""
    return x.view(*x.shape[:2], heads, -1).transpose(1, 2).contiguous()


class Encoder:
    """Log-mel spectrograms to audio states."""

    def __init__(self, checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype) -> None:
        config = checkpoint.config
        self.heads = config.encoder_attention_heads
        self.dtype = dtype
        self.together = windows_encoded_together(device)
        read = WeightReader(checkpoint, "model.encoder.", device, dtype, int8=False)
        self.conv1 = read.convolution("conv1", stride=1)
        self.conv2 = read.convolution("conv2", stride=2)
        self.positions = read.tensor("embed_positions.weight").to(dtype)
        scale = (config.d_model // self.heads) ** -0.5
        self.layers = [
            EncoderLayer(read, f"layers.{n}.", self.heads, scale)
            for n in range(config.encoder_layers)
        ]
        self.norm = read.norm("layer_norm")

    def __call__(self, log_mel: torch.Tensor) -> torch.Tensor:
        """(windows, mels, 3000) → (windows, 1500, width)."""
        encoded = [self._encode(windows) for windows in log_mel.to(self.dtype).split(self.together)]
        return encoded[0] if len(encoded) == 1 else torch.cat(encoded)

    def _encode(self, log_mel: torch.Tensor) -> torch.Tensor:
        x = F.gelu(self.conv1(log_mel.transpose(1, 2)))
        x = F.gelu(self.conv2(x)) + self.positions
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)


class EncoderLayer:
    def __init__(self, read: WeightReader, name: str, heads: int, scale: float) -> None:
        self.heads = heads
        self.attention_norm = read.norm(name + "self_attn_layer_norm")
        attention = name + "self_attn."
        self.qkv = read.linear(
            attention + "q_proj", attention + "k_proj", attention + "v_proj", scale=scale
        )
        self.out = read.linear(attention + "out_proj")
        self.mlp_norm = read.norm(name + "final_layer_norm")
        self.fc1, self.fc2 = read.linear(name + "fc1"), read.linear(name + "fc2")

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (
            _heads(part, self.heads) for part in self.qkv(self.attention_norm(x)).chunk(3, dim=-1)
        )
        x = x + self.out(attend(q, k, v).transpose(1, 2).flatten(2))
        return x + self.fc2(F.gelu(self.fc1(self.mlp_norm(x))))


LENGTH_STEP = 64


@dataclass
class DecoderState:
    """What the decoder remembers of a batch: a slot per row, allocated once and reused by later windows.

    Shapes: self_keys and self_values (layers, slots, heads, positions, d); cross_keys (layers, slots, heads, 1500, d);
    cross_values (layers, slots, heads, d, 1500); alignment_queries (slots, alignment heads, positions, d): what the
    alignment heads looked for in the audio, of which their weights are computed once, when the window is done.
    """

    self_keys: torch.Tensor
    self_values: torch.Tensor
    cross_keys: torch.Tensor
    cross_values: torch.Tensor
    alignment_queries: torch.Tensor
    _columns: torch.Tensor = field(init=False)

    def __post_init__(self) -> None:
        self._columns = torch.arange(self.self_keys.shape[3], device=self.self_keys.device)

    def rows(self, first: int, last: int) -> DecoderState:
        """A view of the slots first … last - 1."""
        caches = (self.self_keys, self.self_values, self.cross_keys, self.cross_values)
        k, v, ck, cv = (cache[:, first:last] for cache in caches)
        return DecoderState(k, v, ck, cv, self.alignment_queries[first:last])

    @property
    def slots(self) -> int:
        return len(self.alignment_queries)

    def move(self, source: int, target: int, positions: int) -> None:
        """Copy slot `source`, of which `positions` are used, over slot `target`."""
        for cache in (self.self_keys, self.self_values):
            cache[:, target, :, :positions] = cache[:, source, :, :positions]
        for cache in (self.cross_keys, self.cross_values):
            cache[:, target] = cache[:, source]
        self.alignment_queries[target, :, :positions] = self.alignment_queries[
            source, :, :positions
        ]

    def causal_mask(self, positions: torch.Tensor, length: int) -> torch.Tensor:
        """What each query may see, shape (rows, 1, n, length): the cache up to its own position."""
        return (self._columns[:length] <= positions[:, :, None])[:, None]


class Decoder:
    """Token ids to logits, `n` positions a row at once, each row where it stands."""

    def __init__(self, checkpoint: Checkpoint, device: torch.device, precision: Precision) -> None:
        config, dtype = checkpoint.config, precision.dtype
        self.device, self.dtype, self.precision = device, dtype, precision
        self.heads, self.width = config.decoder_attention_heads, config.d_model
        self.max_positions: int = config.max_target_positions
        self.audio_frames: int = config.max_source_positions
        read = WeightReader(checkpoint, "model.decoder.", device, dtype, precision.int8_layers)
        self.embedding = read.tensor("embed_tokens.weight").to(dtype)
        self.positions = read.tensor("embed_positions.weight").to(dtype)
        pairs = getattr(checkpoint.generation_config, "alignment_heads", None) or []
        self.alignment_heads: list[tuple[int, int]] = sorted((layer, head) for layer, head in pairs)
        self.layers = [
            DecoderLayer(
                read,
                f"layers.{n}.",
                self.heads,
                [head for layer, head in self.alignment_heads if layer == n],
                n,
            )
            for n in range(config.decoder_layers)
        ]
        slot = 0
        for layer in self.layers:
            layer.alignment_slot = slot
            slot += len(layer.alignment_heads)
        self.norm = read.norm("layer_norm")
        table = read.tensor("embed_tokens.weight")
        self.vocabulary: Linear = (
            Int8Linear(table, None, torch.float32)
            if precision.int8_vocabulary
            else make_step_linear(table, None, dtype, int8=False)
        )

    def new_state(
        self, slots: int, positions: int | None = None, audio_frames: int | None = None
    ) -> DecoderState:
        """Memory for `slots` windows, of the largest size that the model serves unless less is asked for."""
        d = self.width // self.heads
        positions, audio_frames = positions or self.max_positions, audio_frames or self.audio_frames

        def cache(*shape: int) -> torch.Tensor:
            return torch.empty(
                len(self.layers), slots, self.heads, *shape, dtype=self.dtype, device=self.device
            )

        queries = torch.zeros(
            slots, len(self.alignment_heads), positions, d, dtype=self.dtype, device=self.device
        )
        return DecoderState(
            cache(positions, d).zero_(),
            cache(positions, d).zero_(),
            cache(audio_frames, d),
            cache(d, audio_frames),
            queries,
        )

    def attach_audio(self, state: DecoderState, slot: int, audio: torch.Tensor) -> None:
        """Keys and values of `audio`, (windows, 1500, width), for the cross-attention: into slots from `slot`."""
        for n, layer in enumerate(self.layers):
            for k, states in enumerate(audio.to(self.dtype), start=slot):
                state.cross_keys[n, k] = (
                    layer.cross_k(states).view(len(states), self.heads, -1).transpose(0, 1)
                )
                torch.addmm(
                    layer.cross_v_bias,
                    layer.cross_v,
                    states.T,
                    out=state.cross_values[n, k].view(-1, len(states)),
                )

    def parts_of(self, state: DecoderState, slot: int, frames: int, parts: int) -> DecoderState:
        """A state for one step of so many rows, each hearing its part of the first `frames` of what is in a slot."""
        size = frames // parts
        some = self.new_state(parts, 1, size)
        keys, values = (
            state.cross_keys[:, slot, :, : parts * size],
            state.cross_values[:, slot, ..., : parts * size],
        )
        some.cross_keys.copy_(keys.unflatten(2, (parts, size)).movedim(2, 1))
        some.cross_values.copy_(values.unflatten(3, (parts, size)).movedim(3, 1))
        return some

    def alignment(self, state: DecoderState, slot: int, first: int, last: int) -> torch.Tensor:
        """Where the alignment heads looked at positions first … last - 1: (heads, positions, 1500), float32."""
        keys = torch.stack(
            [state.cross_keys[layer, slot, head] for layer, head in self.alignment_heads]
        )
        return torch.softmax(
            (state.alignment_queries[slot, :, first:last] @ keys.transpose(1, 2)).float(), dim=-1
        )

    def step(
        self,
        tokens: torch.Tensor,
        positions: torch.Tensor,
        state: DecoderState,
        logits_from: int = 0,
    ) -> torch.Tensor:
        """Decode tokens, shape (rows, n), at positions of the same shape; the rows are the first of `state`.

        Returns logits, shape (rows, n - logits_from, vocabulary), float32; none are computed for the first
        `logits_from` columns.
        """
        rows, n = tokens.shape
        x = (self.embedding[tokens] + self.positions[positions]).flatten(0, 1)
        x = F.pad(x, (0, 0, 0, rows_of_step(len(x), self.device, self.precision) - len(x)))
        # In steps, for the kernel's order of summing, and so the last bits, depend on the length.
        length = min(
            self.max_positions, -(-(int(positions.max()) + 1) // LENGTH_STEP) * LENGTH_STEP
        )
        mask = state.causal_mask(positions, length)
        index = torch.arange(rows, device=tokens.device)[:, None].expand(rows, n)
        for layer in self.layers:
            x = layer(x, state, index, positions, mask, length)
        if logits_from == n:
            return x.new_empty(rows, 0, 0)
        last = x[: rows * n].view(rows, n, -1)[:, logits_from:].flatten(0, 1)
        return self.vocabulary(self.norm(last)).view(rows, n - logits_from, -1).float()


class DecoderLayer:
    def __init__(
        self, read: WeightReader, name: str, heads: int, alignment_heads: list[int], index: int
    ) -> None:
        self.heads, self.index = heads, index
        self.alignment_heads, self.alignment_slot = alignment_heads, 0
        width = read.tensor(name + "fc1.weight").shape[1]
        scale = (width // heads) ** -0.5
        self.self_norm = read.norm(name + "self_attn_layer_norm")
        attention, cross = name + "self_attn.", name + "encoder_attn."
        self.qkv = read.step_linear(
            attention + "q_proj", attention + "k_proj", attention + "v_proj", scale=scale
        )
        self.self_out = read.step_linear(attention + "out_proj")
        self.cross_norm = read.norm(name + "encoder_attn_layer_norm")
        self.cross_q = read.step_linear(cross + "q_proj", scale=scale)
        self.cross_k = read.linear(cross + "k_proj")
        self.cross_v = read.tensor(cross + "v_proj.weight").to(read.dtype)
        self.cross_v_bias = read.tensor(cross + "v_proj.bias").to(read.dtype)[:, None]
        self.cross_out = read.step_linear(cross + "out_proj")
        self.mlp_norm = read.norm(name + "final_layer_norm")
        self.fc1, self.fc2 = read.step_linear(name + "fc1"), read.step_linear(name + "fc2")

    def __call__(
        self,
        x: torch.Tensor,
        state: DecoderState,
        row: torch.Tensor,
        position: torch.Tensor,
        mask: torch.Tensor,
        length: int,
    ) -> torch.Tensor:
        rows, n = position.shape
        used, unused = rows * n, len(x) - rows * n

        qkv = self.qkv(self.self_norm(x))[:used].view(rows, n, 3, self.heads, -1)
        keys, values = state.self_keys[self.index], state.self_values[self.index]
        keys[row, :, position], values[row, :, position] = qkv[:, :, 1], qkv[:, :, 2]
        q = qkv[:, :, 0].transpose(1, 2).contiguous()
        seen = attend_to_text(q, keys[:rows, :, :length], values[:rows, :, :length], mask)
        x = x + self.self_out(F.pad(seen.transpose(1, 2).reshape(used, -1), (0, 0, 0, unused)))

        q = _heads(self.cross_q(self.cross_norm(x))[:used].view(rows, n, -1), self.heads)
        heard = attend_to_audio(
            q, state.cross_keys[self.index][:rows], state.cross_values[self.index][:rows]
        )
        for slot, head in enumerate(self.alignment_heads, start=self.alignment_slot):
            state.alignment_queries[row, slot, position] = q[:, head]
        x = x + self.cross_out(F.pad(heard.transpose(1, 2).reshape(used, -1), (0, 0, 0, unused)))
        return x + self.fc2(F.gelu(self.fc1(self.mlp_norm(x))))
