"""Whisper's decoder: tokens and audio features to logits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from speech_endpoint.whisper.backends.base import Backend
from speech_endpoint.whisper.checkpoint import Checkpoint
from speech_endpoint.whisper.checkpoint.weights import OUTPUT_MATRIX
from speech_endpoint.whisper.model.cache import DecoderCache
from speech_endpoint.whisper.model.layers import WeightReader


class Decoder:
    """Token ids to logits, `n` positions a row at once, each row at a position of its own."""

    def __init__(self, checkpoint: Checkpoint, backend: Backend) -> None:
        config = checkpoint.config
        self.backend = backend
        self.n_heads: int = config.decoder_attention_heads
        self.head_width: int = config.d_model // config.decoder_attention_heads
        self.max_positions: int = config.max_target_positions
        self.n_audio_frames: int = config.max_source_positions
        # Those of a model with more layers are common in distilled ones.
        self.alignment_heads: list[tuple[int, int]] = sorted(
            (layer, head)
            for layer, head in checkpoint.token_rules.alignment_heads or ()
            if layer < config.decoder_layers and head < self.n_heads
        )
        read = WeightReader(checkpoint, "model.decoder.", backend)
        own = checkpoint.weights.get(OUTPUT_MATRIX)
        self.token_embedding, self.lm_head = backend.vocabulary(
            read.tensor("embed_tokens.weight"),
            # A fine-tune may have one of its own.
            None if own is None else own.to(backend.device).float(),
        )
        self.position_embedding = read.table("embed_positions.weight")
        self.layers = [
            DecoderLayer(read, n, self.n_heads, self._alignment_slots(n))
            for n in range(config.decoder_layers)
        ]
        self.norm = read.norm("layer_norm")

    def _alignment_slots(self, layer: int) -> list[tuple[int, int]]:
        """(slot, head) of each alignment head of a layer, slots counted over all layers."""
        heads = enumerate(self.alignment_heads)
        return [(slot, head) for slot, (of_layer, head) in heads if of_layer == layer]

    def new_cache(
        self, n_slots: int, n_positions: int | None = None, n_frames: int | None = None
    ) -> DecoderCache:
        """Memory for `n_slots` windows.

        Args:
            n_slots: windows decoded together.
            n_positions: of text; as many as the model has unless less is asked for.
            n_frames: of audio; as many as the model has unless less is asked for.
        """
        positions = self.max_positions if n_positions is None else n_positions
        frames = self.n_audio_frames if n_frames is None else n_frames
        n_layers, n_heads, d = len(self.layers), self.n_heads, self.head_width
        leading = (n_layers, n_slots, n_heads)
        queries = (n_slots, len(self.alignment_heads), positions, d)
        zeros = partial(torch.zeros, dtype=self.backend.dtype, device=self.backend.device)
        return DecoderCache(
            self_keys=self.backend.new_keys(*leading, length=positions, head_width=d).zero_(),
            self_values=zeros((*leading, positions, d)),
            cross_keys=self.backend.new_keys(*leading, length=frames, head_width=d),
            cross_values=self.backend.new_cross_values(*leading, n_frames=frames, head_width=d),
            alignment_queries=zeros(queries),
        )

    @property
    def slot_bytes(self) -> int:
        """Memory of one slot of a cache."""
        keys_and_values = 2 * len(self.layers) * self.n_heads
        n_vectors = keys_and_values * (self.max_positions + self.n_audio_frames)
        n_vectors += len(self.alignment_heads) * self.max_positions
        return n_vectors * self.head_width * self.backend.dtype.itemsize

    def attach_audio(self, cache: DecoderCache, slot: int, audio_features: Tensor) -> None:
        """Compute the cross-attention's keys and values of windows, into slots from `slot` on.

        Args:
            cache: written to.
            slot: the first window's.
            audio_features: (windows, 1500, width).
        """
        for n, layer in enumerate(self.layers):
            for k, features in enumerate(audio_features.to(self.backend.dtype), start=slot):
                self.backend.write_cross_keys(layer.cross_key(features), cache.cross_keys[n, k])
                self.backend.project_cross_values(
                    features, layer.cross_value, layer.cross_value_bias, cache.cross_values[n, k]
                )

    def split_audio(
        self, cache: DecoderCache, slot: int, n_frames: int, n_parts: int
    ) -> DecoderCache:
        """A cache for one step of `n_parts` rows, each with its part of what is in a slot.

        Args:
            cache: read from.
            slot: the window's.
            n_frames: how many of its frames hold audio.
            n_parts: equal parts to make of them; at most `n_parts` - 1 frames are left over.
        """
        size = n_frames // n_parts
        parts = self.new_cache(n_parts, n_positions=1, n_frames=size)
        keys = cache.cross_keys[:, slot, :, : n_parts * size].unflatten(2, (n_parts, size))
        parts.cross_keys.copy_(keys.movedim(2, 1))
        values = cache.cross_values[:, slot]
        parts.cross_values.copy_(self.backend.split_cross_values(values, n_parts, size))
        return parts

    def alignment(self, cache: DecoderCache, slot: int, first: int, last: int) -> Tensor:
        """Where the alignment heads looked at positions first … last - 1.

        Returns:
            Attention weights, (alignment heads, positions, 1500), float32.
        """
        keys = torch.stack(
            [cache.cross_keys[layer, slot, head] for layer, head in self.alignment_heads]
        )
        queries = cache.alignment_queries[slot, :, first:last]
        return torch.softmax((queries @ keys.transpose(1, 2)).float(), dim=-1)

    def step(
        self,
        tokens: Tensor,
        positions: Tensor,
        cache: DecoderCache,
        length: int,
        logits_from: int = 0,
    ) -> Tensor:
        """Decode tokens; no value is read from a tensor, so that a device need not be waited for.

        Args:
            tokens: (rows, n), ids; the rows are the first slots of `cache`.
            positions: (rows, n), where in its text each token stands.
            cache: read from and written to.
            length: positions that the self-attention covers, more than any of `positions`.
            logits_from: the first column to compute logits for.

        Returns:
            Logits, (rows, n - logits_from, vocabulary), float32.
        """
        n_rows, n = tokens.shape
        x = (self.token_embedding[tokens] + self.position_embedding[positions]).flatten(0, 1)
        n_padded = self.backend.padded_rows(len(x))
        is_padded = n_padded > len(x)
        if is_padded:
            x = F.pad(x, (0, 0, 0, n_padded - len(x)))
        step = _Step(
            cache,
            rows=torch.arange(n_rows, device=tokens.device)[:, None].expand(n_rows, n),
            positions=positions,
            mask=cache.causal_mask(positions, length),
            length=length,
            padded=torch.zeros_like(x) if is_padded else None,
        )
        for layer in self.layers:
            x = layer(x, step)
        if logits_from == n:
            return x.new_empty(n_rows, 0, 0)
        last = x[: n_rows * n].view(n_rows, n, -1)[:, logits_from:].flatten(0, 1)
        return self.lm_head(self.norm(last)).view(n_rows, n - logits_from, -1).float()


@dataclass(frozen=True)
class _Step:
    """What a step's layers share: `rows` and `positions` are (rows, n)."""

    cache: DecoderCache
    rows: Tensor
    positions: Tensor
    mask: Tensor
    length: int
    padded: Tensor | None
    """(padded rows, width), zeros beyond the step's: takes what attention finds, where rows are
    padded, so that each layer copies it once."""

    def merged(self, attended: Tensor) -> Tensor:
        """(rows, heads, n, d) to (padded rows, width)."""
        merged = attended.transpose(1, 2)
        if self.padded is None:
            return merged.reshape(self.positions.numel(), -1)
        self.padded[: self.positions.numel()].view(merged.shape).copy_(merged)
        return self.padded


class DecoderLayer:
    """Attention to the text so far, attention to the audio, a feed-forward network."""

    def __init__(
        self, read: WeightReader, index: int, n_heads: int, alignment_slots: list[tuple[int, int]]
    ) -> None:
        """
        Args:
            alignment_slots: (slot, head) of its heads whose queries are kept for alignment.
        """
        name = f"layers.{index}."
        attention, cross = name + "self_attn.", name + "encoder_attn."
        self.backend, self.index, self.n_heads = read.backend, index, n_heads
        # Slots are counted layer by layer: those of one lie side by side.
        slots, heads = [slot for slot, _ in alignment_slots], [head for _, head in alignment_slots]
        self.alignment_slots = slice(slots[0], slots[-1] + 1) if slots else None
        self.alignment_heads = torch.tensor(heads, dtype=torch.long, device=read.backend.device)
        scale = (read.tensor(name + "fc1.weight").shape[1] // n_heads) ** -0.5
        self.self_norm = read.norm(name + "self_attn_layer_norm")
        self.qkv = read.step_linear(
            attention + "q_proj", attention + "k_proj", attention + "v_proj", scale=scale
        )
        self.self_out = read.step_linear(attention + "out_proj")
        self.cross_norm = read.norm(name + "encoder_attn_layer_norm")
        self.cross_query = read.step_linear(cross + "q_proj", scale=scale)
        self.cross_key = read.linear(cross + "k_proj")
        self.cross_value = read.table(cross + "v_proj.weight")
        self.cross_value_bias = read.table(cross + "v_proj.bias")
        self.cross_out = read.step_linear(cross + "out_proj")
        self.mlp_norm = read.norm(name + "final_layer_norm")
        self.fc1, self.fc2 = read.step_linear(name + "fc1"), read.step_linear(name + "fc2")

    def __call__(self, x: Tensor, step: _Step) -> Tensor:
        """(padded rows, width), of which the first rows * n are the step's, to the same shape."""
        x = x + self.self_out(step.merged(self._attend_to_text(x, step)))
        x = x + self.cross_out(step.merged(self._attend_to_audio(x, step)))
        return x + self.fc2(F.gelu(self.fc1(self.mlp_norm(x))))

    def _attend_to_text(self, x: Tensor, step: _Step) -> Tensor:
        """(padded rows, width) to (rows, heads, n, d); keys and values go into the cache."""
        n_rows, n = step.positions.shape
        qkv = self.qkv(self.self_norm(x))[: n_rows * n].view(n_rows, n, 3, self.n_heads, -1)
        keys, values = step.cache.self_keys[self.index], step.cache.self_values[self.index]
        keys[step.rows, :, step.positions] = qkv[:, :, 1]
        values[step.rows, :, step.positions] = qkv[:, :, 2]
        return self.backend.self_attention(
            qkv[:, :, 0].transpose(1, 2),
            keys[:n_rows, :, : step.length],
            values[:n_rows, :, : step.length],
            step.mask,
        )

    def _attend_to_audio(self, x: Tensor, step: _Step) -> Tensor:
        """(padded rows, width) to (rows, heads, n, d); alignment queries go into the cache."""
        n_rows, n = step.positions.shape
        query = self.cross_query(self.cross_norm(x))[: n_rows * n]
        query = query.view(n_rows, n, self.n_heads, -1).transpose(1, 2)
        attended = self.backend.cross_attention(
            query,
            step.cache.cross_keys[self.index][:n_rows],
            step.cache.cross_values[self.index][:n_rows],
        )
        if self.alignment_slots:
            queries = step.cache.alignment_queries[:, self.alignment_slots]
            looking = query.index_select(1, self.alignment_heads).transpose(1, 2)
            queries[step.rows, :, step.positions] = looking
        return attended
