"""pyannote's segmentation network (PyanNet) over overlapping chunks, several times faster.

Chunks of 10 s, one every second, share nine tenths of their audio, and half of the network's time
goes into its first convolution: here that runs once over the audio of all chunks. Each chunk's own
normalisation of its waveform is an affine map, which commutes with the convolution.
"""

from __future__ import annotations

import copy

import torch
from pyannote.audio.models.segmentation import PyanNet
from pyannote.audio.utils.powerset import Powerset
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

# How much more likely overlapping speech is than segmentation-3.0 says, as a logarithm: it hears a
# second voice far from the microphone too seldom. From 0.5 to 1, DER of the meetings is 0.317 to
# 0.313 (0.332 without), that of the other conversations the same.
OVERLAP_LOG_PRIOR = 0.5


# Chunks whose front end runs at once on a GPU: 5 MB each.
DEVICE_CHUNKS_AT_ONCE = 64


class FavourOverlap(nn.Module):
    """As `Powerset`, from log-probabilities to speakers, with a prior for overlapping speech."""

    log_prior: Tensor
    """(classes,), added to each class's score."""

    def __init__(self, powerset: Powerset, log_prior: float = OVERLAP_LOG_PRIOR) -> None:
        super().__init__()
        self.powerset = powerset
        self.register_buffer("log_prior", log_prior * (powerset.cardinality > 1).float())

    def forward(self, scores: Tensor) -> Tensor:
        """(..., classes) -> (..., speakers), 0 or 1."""
        active: Tensor = self.powerset(scores + self.log_prior)
        return active


class SharedFrontEndPyanNet:
    """The scores of a `PyanNet` for overlapping chunks, with one pass of its first convolution."""

    def __init__(self, model: PyanNet) -> None:
        """Wrap a network that `supports` accepts, in evaluation mode on a CPU, as it is."""
        self.model, self.lstm = model, copy.deepcopy(model.lstm)
        self.filters = model.sincnet.conv1d[0]
        self.to(torch.device("cpu"), torch.float32)

    def to(self, device: torch.device, dtype: torch.dtype) -> SharedFrontEndPyanNet:
        """Move the network.

        Args:
            device: where to.
            dtype: of the recurrent layers. A 16-bit one changes the speakers of 3 to 9 frames in
                1,000, and from then on they are no more exact than that.
        """
        self.device, self.dtype = device, dtype
        self.lstm.to(device, dtype)
        # A copy's weights lie apart, and cuDNN would gather them at every call.
        self.lstm.flatten_parameters()
        self.model.to(device)
        # A GPU wants many chunks at once; in a CPU's caches there is room for one.
        self.chunks_at_once = 1 if device.type == "cpu" else DEVICE_CHUNKS_AT_ONCE
        # The filters' response to a constant 1 carries the offset of a chunk's normalisation.
        ones = torch.ones(1, 1, self.filters.filterbank.kernel_size, device=device)
        with torch.inference_mode():
            self.response = self.filters(ones)[0]
        return self

    @staticmethod
    def supports(model: object, hop: int) -> bool:
        """Whether the model is a PyanNet that this class can run on chunks `hop` samples apart.

        Every chunk has to begin where the first convolution has an output.
        """
        return (
            isinstance(model, PyanNet)
            and model.hparams.lstm["monolithic"]
            and hop % model.sincnet.stride == 0
        )

    @torch.inference_mode()
    def __call__(self, chunks: Tensor) -> Tensor:
        """Score the classes of every frame.

        Args:
            chunks: (chunks, 1, samples), a view that `Tensor.unfold` made of one waveform.

        Returns:
            (chunks, frames, classes), as `PyanNet.forward` returns them.
        """
        chunks = _at(chunks, self.device)
        count, _, size = chunks.shape
        hop, stride = chunks.stride(0), self.model.sincnet.stride
        audio = chunks.as_strided((1, 1, (count - 1) * hop + size), (size, size, 1))
        filtered = self.filters(audio)[0]
        length = (size - self.filters.filterbank.kernel_size) // stride + 1
        filtered = filtered.unfold(1, length, hop // stride).transpose(0, 1)
        scale, offset = self._normalisation(chunks)
        parts = (tensor.split(self.chunks_at_once) for tensor in (filtered, scale, offset))
        features = torch.cat([self._features(*part) for part in zip(*parts, strict=True)])
        frames = self.lstm(features.mT.to(self.dtype))[0].float()
        for linear in self.model.linear:
            frames = leaky_relu(linear(frames))
        return self.model.activation(self.model.classifier(frames))

    def _normalisation(self, chunks: Tensor) -> tuple[Tensor, Tensor]:
        """Each chunk's normalisation as `scale * x + offset`; both are (chunks, 1, 1)."""
        norm = self.model.sincnet.wav_norm1d
        variance, mean = torch.var_mean(chunks[:, 0].contiguous(), dim=1, correction=0)
        scale = norm.weight / torch.sqrt(variance + norm.eps)
        return scale[:, None, None], (norm.bias - scale * mean)[:, None, None]

    def _features(self, filtered: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
        """Run the front end, from the first convolution's output on.

        Args:
            filtered: (chunks, filters, n), the convolution of chunks before their normalisation.
            scale: (chunks, 1, 1), see `_normalisation`.
            offset: (chunks, 1, 1), see `_normalisation`.

        Returns:
            (chunks, features, frames).
        """
        sincnet = self.model.sincnet
        x = torch.addcmul(self.response * offset, filtered, scale).abs_()
        layers = zip(sincnet.conv1d, sincnet.pool1d, sincnet.norm1d, strict=True)
        for number, (convolution, pool, norm) in enumerate(layers):
            x = leaky_relu(norm(pool(convolution(x) if number else x)))
        return x


def _at(chunks: Tensor, device: torch.device) -> Tensor:
    """Overlapping chunks on another device: what they share is copied once."""
    if chunks.device == device:
        return chunks
    count, _, size = chunks.shape
    hop = chunks.stride(0)
    audio = chunks.as_strided(((count - 1) * hop + size,), (1,)).to(device)
    return audio.unfold(0, size, hop)[:, None]
