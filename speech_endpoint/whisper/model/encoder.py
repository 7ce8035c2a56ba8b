"""Whisper's encoder: log-mel spectrograms to audio features."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from speech_endpoint.whisper.backends.base import Backend
from speech_endpoint.whisper.checkpoint import Checkpoint
from speech_endpoint.whisper.model.layers import WeightReader, split_heads


class Encoder:
    """Two convolutions, then transformer layers over all frames of a window."""

    def __init__(self, checkpoint: Checkpoint, backend: Backend) -> None:
        config = checkpoint.config
        n_heads = config.encoder_attention_heads
        read = WeightReader(checkpoint, "model.encoder.", backend)
        self.backend = backend
        self.conv1 = read.convolution("conv1", stride=1)
        self.conv2 = read.convolution("conv2", stride=2)
        residual_dtype = backend.residual_dtype
        self.position_embedding = read.tensor("embed_positions.weight").to(residual_dtype)
        scale = backend.attention_scale(config.d_model // n_heads)
        self.layers = [
            EncoderLayer(read, f"layers.{n}.", n_heads, scale) for n in range(config.encoder_layers)
        ]
        self.norm = read.norm("layer_norm", residual_dtype)

    def __call__(self, log_mel: Tensor) -> Tensor:
        """Log-mel (windows, mels, 3000) to audio features (windows, 1500, width)."""
        batches = log_mel.to(self.backend.dtype).split(self.backend.encoder_batch_size)
        encoded = [self._encode(batch) for batch in batches]
        return encoded[0] if len(encoded) == 1 else torch.cat(encoded)

    def _encode(self, log_mel: Tensor) -> Tensor:
        x = F.gelu(self.conv1(log_mel.transpose(1, 2)))
        x = F.gelu(self.conv2(x)) + self.position_embedding
        for layer in self.layers:
            x = layer(x)
        return self.norm(x).to(self.backend.dtype)


class EncoderLayer:
    """Self-attention and a feed-forward network, each after a norm and with a residual."""

    def __init__(self, read: WeightReader, name: str, n_heads: int, scale: float) -> None:
        attention = name + "self_attn."
        self.backend, self.n_heads = read.backend, n_heads
        self.attention_norm = read.norm(name + "self_attn_layer_norm", read.backend.residual_dtype)
        self.qkv = read.linear(
            attention + "q_proj", attention + "k_proj", attention + "v_proj", scale=scale
        )
        self.attention_out = read.linear(attention + "out_proj")
        self.mlp_norm = read.norm(name + "final_layer_norm", read.backend.residual_dtype)
        self.fc1 = read.feed_forward_linear(name + "fc1")
        self.fc2 = read.feed_forward_linear(name + "fc2")

    def __call__(self, x: Tensor) -> Tensor:
        """Add to x, (batch, frames, width), in place, and return it."""
        projected = self.qkv(self.attention_norm(x)).chunk(3, dim=-1)
        query, key, value = (split_heads(part, self.n_heads) for part in projected)
        attended = self.backend.attention(query, key, value)
        x += self.attention_out(attended.transpose(1, 2).flatten(2))
        for frames in x.split(self.backend.feed_forward_frames, dim=1):
            frames += self.fc2(F.gelu(self.fc1(self.mlp_norm(frames))))
        return x
