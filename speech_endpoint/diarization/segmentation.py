"""pyannote's segmentation network (PyanNet) over overlapping windows, several times faster.

Windows of 10 s every second share nine tenths of their audio, and half of the network's time goes into its first
convolution: here that runs once over a stretch of windows. Each window's own normalisation of the waveform is an affine
map, which the convolution lets through.
"""

from __future__ import annotations

import copy

import torch
from pyannote.audio.models.segmentation import PyanNet
from torch import Tensor
from torch.nn.functional import leaky_relu


class OverlappingWindows:
    """What a `PyanNet` says of windows that begin `step` samples apart."""

    def __init__(self, model: PyanNet, half: bool) -> None:
        """
        Args:
            half: bfloat16 for the recurrent layers, where the CPU has instructions for it: other speakers
                in 3 to 9 frames of 1,000.
        """
        self.model = model
        self.dtype = torch.bfloat16 if half else torch.float32
        self.lstm = copy.deepcopy(model.lstm).to(self.dtype)
        self.filters = model.sincnet.conv1d[0]
        # What the filters make of a constant 1: the part of a normalisation's offset.
        self.response = self.filters(torch.ones(1, 1, self.filters.filterbank.kernel_size))[
            0
        ].detach()

    @staticmethod
    def serves(model: object, step: int) -> bool:
        """Whether the network is one of these and its windows begin where its first convolution has an output."""
        return (
            isinstance(model, PyanNet)
            and model.hparams.lstm["monolithic"]
            and step % model.sincnet.stride == 0
        )

    @torch.inference_mode()
    def __call__(self, windows: Tensor) -> Tensor:
        """(windows, 1, samples), a view that `unfold` made of one waveform -> scores (windows, frames, classes)."""
        count, _, size = windows.shape
        step, stride = windows.stride(0), self.model.sincnet.stride
        stretch = windows.as_strided((1, 1, (count - 1) * step + size), (size, size, 1))
        filtered = self.filters(stretch)[0]
        length = (size - self.filters.filterbank.kernel_size) // stride + 1
        norm = self.model.sincnet.wav_norm1d
        variance, mean = torch.var_mean(windows[:, 0].contiguous(), dim=1, correction=0)
        scale = norm.weight / torch.sqrt(variance + norm.eps)
        offset = norm.bias - scale * mean
        features = torch.stack(
            [
                self._features(filtered[:, first : first + length], factor, term)
                for first, factor, term in zip(
                    range(0, count * step // stride, step // stride), scale, offset, strict=True
                )
            ]
        )
        frames = self.lstm(features.mT.to(self.dtype))[0].float()
        for linear in self.model.linear:
            frames = leaky_relu(linear(frames))
        scores: Tensor = self.model.activation(self.model.classifier(frames))
        return scores

    def _features(self, filtered: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
        """The front end's layers after the first convolution, for one window: (filters, n) -> (features, frames)."""
        net = self.model.sincnet
        x = torch.addcmul(self.response * offset, filtered, scale).abs_()[None]
        for number, (convolution, pool, norm) in enumerate(
            zip(net.conv1d, net.pool1d, net.norm1d, strict=True)
        ):
            x = leaky_relu(norm(pool(convolution(x) if number else x)))
        return x[0]
