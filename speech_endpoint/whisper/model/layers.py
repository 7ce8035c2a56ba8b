"""Layers, and how they come out of a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from speech_endpoint.whisper.backends.base import Backend, Linear
from speech_endpoint.whisper.checkpoint import Checkpoint
from speech_endpoint.whisper.model.features import AUDIO_FRAMES


@dataclass(frozen=True)
class Norm:
    """Layer normalisation over the last dimension."""

    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """(…, width) to the same shape."""
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias)


@dataclass(frozen=True)
class Convolution:
    """A convolution over time, three frames wide, as one matrix product.

    That takes a sixth of the time of `F.conv1d`.
    """

    linear: Linear
    stride: int

    def __call__(self, x: Tensor) -> Tensor:
        """(batch, frames, channels in) to (batch, frames / stride, channels out)."""
        frames = F.pad(x, (0, 0, 1, 1)).unfold(1, 3, self.stride)
        return self.linear(frames.transpose(2, 3).flatten(2))


class WeightReader:
    """Hands out a checkpoint's layers in the number formats that a backend runs them with."""

    def __init__(self, checkpoint: Checkpoint, prefix: str, backend: Backend) -> None:
        self.weights, self.prefix, self.backend = checkpoint.weights, prefix, backend

    def tensor(self, name: str) -> Tensor:
        """A tensor as it was published, float32, on the device.

        Moved in the file's number format: half of the bytes for most.
        """
        return self.weights[self.prefix + name].to(self.backend.device).float()

    def table(self, name: str) -> Tensor:
        """A tensor in the model's number format."""
        return self.tensor(name).to(self.backend.dtype)

    def norm(self, name: str, dtype: torch.dtype | None = None) -> Norm:
        """A norm for an input in a number format; None: in the model's."""
        weight, bias = self.tensor(name + ".weight"), self.tensor(name + ".bias")
        chosen = dtype or self.backend.dtype
        return Norm(weight.to(chosen), bias.to(chosen))

    def convolution(self, name: str, stride: int) -> Convolution:
        weight = self.tensor(name + ".weight").transpose(1, 2).flatten(1)
        linear = self.backend.linear(weight, self.tensor(name + ".bias"), AUDIO_FRAMES)
        return Convolution(linear, stride)

    def linear(self, *names: str, scale: float = 1.0) -> Linear:
        """One layer for a window's frames, of the named ones stacked.

        Args:
            names: layers with the same input, in the order of the output.
            scale: multiplies the first of them.
        """
        return self.backend.linear(*self._stacked(names, scale), AUDIO_FRAMES)

    def feed_forward_linear(self, name: str) -> Linear:
        """A layer of the encoder's feed-forward networks."""
        return self.backend.feed_forward_linear(*self._stacked([name], 1.0), AUDIO_FRAMES)

    def step_linear(self, *names: str, scale: float = 1.0) -> Linear:
        """One layer for the few rows of a decoding step; arguments as in `linear`."""
        return self.backend.step_linear(*self._stacked(names, scale))

    def _stacked(self, names: Sequence[str], scale: float) -> tuple[Tensor, Tensor]:
        weights = [self.tensor(name + ".weight") for name in names]
        biases = [self._bias(name, weight) for name, weight in zip(names, weights, strict=True)]
        weights[0], biases[0] = weights[0] * scale, biases[0] * scale
        return torch.cat(weights), torch.cat(biases)

    def _bias(self, name: str, weight: Tensor) -> Tensor:
        """Key projections have none."""
        has_bias = self.prefix + name + ".bias" in self.weights
        return self.tensor(name + ".bias") if has_bias else torch.zeros_like(weight[:, 0])


def split_heads(x: Tensor, n_heads: int) -> Tensor:
    """(batch, n, width) to (batch, heads, n, width / heads)."""
    return x.view(*x.shape[:2], n_heads, -1).transpose(1, 2).contiguous()
