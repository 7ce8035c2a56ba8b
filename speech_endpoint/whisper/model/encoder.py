"""Whisper's encoder: log-mel spectrograms to audio features."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from speech_endpoint.whisper.backends.base import Backend
from speech_endpoint.whisper.checkpoint import Checkpoint
from speech_endpoint.whisper.model.features import MEL_FRAMES, sounding_frames
from speech_endpoint.whisper.model.layers import WeightReader, split_heads

# What silence is in a log-mel spectrogram depends on the loudest sound of its window, 2.0 above it:
# the median of short utterances, telephone calls and meetings (-1.4 to -0.4).
SILENCE = -0.8
# After the last sound, and the whole number of frames that is computed.
MARGIN_FRAMES = 50
FRAMES_STEP = 50

KeysAndValues = tuple[Tensor, Tensor]
"""Of one layer, each (batch, heads, frames, d)."""


@dataclass(frozen=True)
class SilentWindow:
    """What the encoder makes of silence."""

    features: Tensor
    """(1, 1500, width)."""
    layers: Sequence[KeysAndValues]
    """That each layer's queries meet."""


class Encoder:
    """Two convolutions, then transformer layers over all frames of a window."""

    def __init__(self, checkpoint: Checkpoint, backend: Backend) -> None:
        config = checkpoint.config
        n_heads = config.encoder_attention_heads
        read = WeightReader(checkpoint, "model.encoder.", backend)
        self.backend, self.n_mels = backend, config.num_mel_bins
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
        if self.backend.reuses_silence:
            encoded = [self._encode_sounding(window) for window in log_mel.split(1)]
        else:
            batches = log_mel.split(self.backend.encoder_batch_size)
            encoded = [self._encode(batch) for batch in batches]
        return encoded[0] if len(encoded) == 1 else torch.cat(encoded)

    def _encode(self, log_mel: Tensor) -> Tensor:
        x = self._embedded(log_mel)
        for layer in self.layers:
            x = layer(x)
        return self._features(x)

    def _encode_sounding(self, log_mel: Tensor) -> Tensor:
        """As `_encode` of one window; the silence at its end is taken from a silent window.

        Every frame that is computed attends to all 1500. Only that the silence itself has heard
        nothing of the window differs: words change no more often than when a window begins 40 ms
        later.
        """
        n_frames = sounding_frames(log_mel[0]) + MARGIN_FRAMES
        n_frames = math.ceil(n_frames / FRAMES_STEP) * FRAMES_STEP
        if n_frames >= len(self.position_embedding):
            return self._encode(log_mel)
        # The second convolution looks one frame ahead.
        x = self._embedded(log_mel[..., : 2 * (n_frames + 1)])[:, :n_frames].contiguous()
        for layer, after in zip(self.layers, self._silence.layers, strict=True):
            x = layer(x, [part[:, :, n_frames:] for part in after])
        return torch.cat([self._features(x), self._silence.features[:, n_frames:]], dim=1)

    @cached_property
    def _silence(self) -> SilentWindow:
        x = self._embedded(torch.full((1, self.n_mels, MEL_FRAMES), SILENCE))
        layers = []
        for layer in self.layers:
            _, keys, values = layer.projections(x)
            layers.append((keys, values))
            x = layer(x)
        return SilentWindow(self._features(x), layers)

    def _embedded(self, log_mel: Tensor) -> Tensor:
        x = F.gelu(self.conv1(log_mel.to(self.backend.dtype).transpose(1, 2)))
        x = F.gelu(self.conv2(x))
        return x + self.position_embedding[: x.shape[1]]

    def _features(self, x: Tensor) -> Tensor:
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

    def __call__(self, x: Tensor, after: Sequence[Tensor] | None = None) -> Tensor:
        """Add to x, (batch, frames, width), in place, and return it.

        Args:
            after: keys and values of the frames after those of `x`, each (batch, heads, more
                frames, d).
        """
        query, *attended_to = self.projections(x)
        if after is not None:
            attended_to = [
                torch.cat(parts, dim=2) for parts in zip(attended_to, after, strict=True)
            ]
        attended = self.backend.attention(query, *attended_to)
        x += self.attention_out(attended.transpose(1, 2).flatten(2))
        for frames in x.split(self.backend.feed_forward_frames, dim=1):
            frames += self.fc2(F.gelu(self.fc1(self.mlp_norm(frames))))
        return x

    def projections(self, x: Tensor) -> list[Tensor]:
        """Queries, keys and values of x, (batch, frames, width), each (batch, heads, frames, d)."""
        parts = self.qkv(self.attention_norm(x)).chunk(3, dim=-1)
        return [split_heads(part, self.n_heads) for part in parts]
