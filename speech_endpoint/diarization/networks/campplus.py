"""CAM++, a network that turns speech into a speaker embedding.

Wang, Zheng, Chen, Cheng, Chen: "CAM++: A Fast and Efficient Network for Speaker Verification Using
Context-Aware Masking", Interspeech 2023. Parameters bear the names that 3D-Speaker's published
checkpoints give them.

It runs in two stages, so that frames are computed once and pooled once per speaker:

- `forward_frames`: a 2-D convolutional front-end (FCM), then a densely connected time-delay network
  (D-TDNN) whose layers mask themselves by their context;
- `forward_embedding`: weighted mean and standard deviation over time, then the final layer.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MEL_BINS = 80
EMBEDDING_SIZE = 192
FRONT_END_CHANNELS = 32
STEM_CHANNELS = 128
GROWTH = 32
"""Channels that each layer adds to its dense block."""
BOTTLENECK = 4 * GROWTH
BLOCKS = ((12, 1), (24, 2), (16, 2))
"""(layers, dilation) of the dense blocks."""
CONTEXT_FRAMES = 100
"""Length of the segments whose means are a mask's local context."""


def _norm_relu(channels: int) -> nn.Sequential:
    return nn.Sequential(OrderedDict(batchnorm=nn.BatchNorm1d(channels), relu=nn.ReLU()))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; `stride` halves the frequency axis, never time."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, stride=(stride, 1), padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        projection = [
            nn.Conv2d(channels, channels, 1, stride=(stride, 1), bias=False),
            nn.BatchNorm2d(channels),
        ]
        self.shortcut = nn.Sequential(*projection) if stride != 1 else nn.Sequential()

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class FrontEnd(nn.Module):
    """The front-end convolution module: (batch, mel, frames) -> (batch, 32 * mel / 8, frames)."""

    def __init__(self, mel_bins: int) -> None:
        super().__init__()
        channels = FRONT_END_CHANNELS
        self.conv1 = nn.Conv2d(1, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.layer1 = nn.Sequential(
            ResidualBlock(channels, stride=2), ResidualBlock(channels, stride=1)
        )
        self.layer2 = nn.Sequential(
            ResidualBlock(channels, stride=2), ResidualBlock(channels, stride=1)
        )
        self.conv2 = nn.Conv2d(channels, channels, 3, stride=(2, 1), padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.out_channels = channels * (mel_bins // 8)

    def forward(self, features: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(features.unsqueeze(1))))
        out = self.layer2(self.layer1(out))
        return F.relu(self.bn2(self.conv2(out))).flatten(1, 2)


class Stem(nn.Module):
    """A time-delay layer that halves the frame rate: frames -> ceil(frames / 2)."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.linear = nn.Conv1d(channels, out_channels, 5, stride=2, padding=2, bias=False)
        self.nonlinear = _norm_relu(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.nonlinear(self.linear(x))


class ContextAwareMask(nn.Module):
    """A convolution whose output is masked, 0 to 1, by the mean of the whole and of its segment."""

    def __init__(self, channels: int, out_channels: int, dilation: int) -> None:
        super().__init__()
        self.linear_local = nn.Conv1d(
            channels, out_channels, 3, padding=dilation, dilation=dilation, bias=False
        )
        self.linear1 = nn.Conv1d(channels, channels // 2, 1)
        self.linear2 = nn.Conv1d(channels // 2, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        # The mask is constant within a segment: it is computed once for each, then repeated.
        segments = F.avg_pool1d(x, CONTEXT_FRAMES, stride=CONTEXT_FRAMES, ceil_mode=True)
        context = x.mean(-1, keepdim=True) + segments
        mask = torch.sigmoid(self.linear2(F.relu(self.linear1(context))))
        frame_mask = mask.repeat_interleave(CONTEXT_FRAMES, dim=-1)[..., : x.shape[-1]]
        return self.linear_local(x) * frame_mask


class DenseLayer(nn.Module):
    """Bottleneck, then a masked convolution: adds `GROWTH` channels."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.nonlinear1 = _norm_relu(channels)
        self.linear1 = nn.Conv1d(channels, BOTTLENECK, 1, bias=False)
        self.nonlinear2 = _norm_relu(BOTTLENECK)
        self.cam_layer = ContextAwareMask(BOTTLENECK, GROWTH, dilation)

    def forward(self, x: Tensor) -> Tensor:
        added = self.cam_layer(self.nonlinear2(self.linear1(self.nonlinear1(x))))
        return torch.cat([x, added], dim=1)


class Transition(nn.Module):
    """Halves the channels after a dense block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.nonlinear = _norm_relu(channels)
        self.linear = nn.Conv1d(channels, channels // 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.nonlinear(x))


class FinalLayer(nn.Module):
    """Pooled statistics to the embedding: (batch, channels) -> (batch, embedding).

    It ends in a batch norm alone (3D-Speaker's `batchnorm_`): a ReLU would leave out half of every
    embedding, and voices that differ would look alike.
    """

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.linear = nn.Conv1d(channels, out_channels, 1, bias=False)
        norm = nn.BatchNorm1d(out_channels, affine=False)
        self.nonlinear = nn.Sequential(OrderedDict(batchnorm=norm))

    def forward(self, statistics: Tensor) -> Tensor:
        return self.nonlinear(F.linear(statistics, self.linear.weight.squeeze(-1)))


class CamPlusPlus(nn.Module):
    """CAM++ on Kaldi filter banks at 100 Hz with their mean over time subtracted."""

    def __init__(self, mel_bins: int = MEL_BINS, embedding_size: int = EMBEDDING_SIZE) -> None:
        super().__init__()
        self.head = FrontEnd(mel_bins)
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            tdnn=Stem(self.head.out_channels, STEM_CHANNELS)
        )
        channels = STEM_CHANNELS
        for number, (depth, dilation) in enumerate(BLOCKS, start=1):
            block = nn.Sequential()
            for n in range(depth):
                block.add_module(f"tdnnd{n + 1}", DenseLayer(channels + n * GROWTH, dilation))
            layers[f"block{number}"] = block
            channels += depth * GROWTH
            layers[f"transit{number}"] = Transition(channels)
            channels //= 2
        layers["out_nonlinear"] = _norm_relu(channels)
        layers["dense"] = FinalLayer(2 * channels, embedding_size)
        self.xvector = nn.ModuleDict(layers)

    def forward_frames(self, features: Tensor) -> Tensor:
        """Compute the frame-level representation of speech.

        Args:
            features: (batch, frames, mel_bins).

        Returns:
            (batch, channels, ceil(frames / 2)).
        """
        out = self.head(features.transpose(1, 2))
        for name, layer in self.xvector.items():
            if name != "dense":
                out = layer(out)
        return out

    def forward_embedding(self, frames: Tensor, weights: Tensor | None = None) -> Tensor:
        """Compute one embedding per sequence of frames.

        Args:
            frames: (batch, channels, n), as `forward_frames` returns them.
            weights: (batch, n), how much each frame counts, at least 0; None: all the same.

        Returns:
            (batch, embedding_size).
        """
        return self.xvector["dense"](weighted_statistics(frames, weights))

    def forward(self, features: Tensor, weights: Tensor | None = None) -> Tensor:
        """Compute one embedding per sequence of filter banks.

        Args:
            features: (batch, frames, mel_bins).
            weights: (batch, ceil(frames / 2)), how much each frame of `forward_frames` counts.

        Returns:
            (batch, embedding_size).
        """
        return self.forward_embedding(self.forward_frames(features), weights)


def mean_and_deviation(count: Tensor, total: Tensor, squares: Tensor) -> tuple[Tensor, Tensor]:
    """Compute mean and unbiased standard deviation from sums.

    Args:
        count: how many values there are.
        total: their sum.
        squares: the sum of their squares; the three broadcast.
    """
    mean = total / count.clamp(min=1)
    variance = (squares - count * mean.square()) / (count - 1).clamp(min=1)
    return mean, variance.clamp(min=0).sqrt()


def weighted_statistics(frames: Tensor, weights: Tensor | None) -> Tensor:
    """Compute mean and unbiased standard deviation over time; zeros where all weights are 0.

    Args:
        frames: (batch, channels, n).
        weights: (batch, n), or None.

    Returns:
        (batch, 2 * channels), never NaN.
    """
    if weights is None:
        weights = frames.new_ones(frames.shape[0], frames.shape[-1])
    tiny = 1e-8
    w = weights.unsqueeze(1)
    total = w.sum(-1) + tiny
    mean = (frames * w).sum(-1) / total
    degrees_of_freedom = total - w.square().sum(-1) / total + tiny
    squares = (w * (frames - mean.unsqueeze(-1)).square()).sum(-1)
    return torch.cat([mean, (squares / degrees_of_freedom).clamp_min(0).sqrt()], dim=-1)
