"""Speaker embeddings: frame features of speech by CAM++, and their pooling per speaker."""

from __future__ import annotations

import copy
from math import ceil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import normalize, pad

from speech_endpoint.diarization.networks.campplus import (
    EMBEDDING_SIZE,
    CamPlusPlus,
    mean_and_deviation,
)
from speech_endpoint.diarization.networks.chunks import centred
from speech_endpoint.diarization.networks.filter_bank import HOP_SAMPLES, LENGTH_SAMPLES, FilterBank
from speech_endpoint.diarization.units import map_in_units
from speech_endpoint.hardware import balanced_batch_size, half_precision
from speech_endpoint.transcript import Waveform
from speech_endpoint.units import Units, finish

# The network's frames; it halves the rate of the filter banks.
FRAMES_PER_S = 50
# Filter bank frames (10 ms) of a block, and of the context on either side. CAM++ uses a global
# context mean; much longer blocks would blend speakers.
BLOCK_FRAMES, CONTEXT_FRAMES = 400, 100
BLOCKS_PER_BATCH, DEVICE_BLOCKS_PER_BATCH = 4, 64
CHUNKS_PER_BATCH = 32
# Fewer frames of speech than this have no embedding.
MIN_FRAMES = 3
MIN_SAMPLES = 2 * (MIN_FRAMES - 1) * HOP_SAMPLES + LENGTH_SAMPLES


class SpeakerEmbedder:
    """Turns speech into vectors that are close (by cosine) where the speaker is the same.

    `embed` is for the speech of one speaker. For a recording of several, `frame_features` runs the
    network's frame layers once, and `pool` makes an embedding of any set of frames.
    """

    dimension = EMBEDDING_SIZE

    def __init__(self, weights: Path) -> None:
        """Load CAM++ for a CPU, in float32.

        Args:
            weights: a safetensors file.
        """
        self.network = CamPlusPlus()
        self.network.load_state_dict(load_file(weights))
        self.network.eval()
        self._frame_layers = copy.deepcopy(self.network)
        self._filter_bank = FilterBank()
        self.device, self.dtype = torch.device("cpu"), torch.float32

    def to(self, device: torch.device) -> SpeakerEmbedder:
        """Move the network to a device, whose 16-bit format its frame layers take."""
        self.device, self.dtype = device, half_precision(device)
        for layer in self._frame_layers.modules():
            # Norms stay float32, as under autocast, which would convert the others at every call.
            is_convolution = isinstance(layer, (nn.Conv1d, nn.Conv2d))
            if next(layer.children(), None) is None:
                layer.to(device, self.dtype if is_convolution else torch.float32)
        self.network.to(device)
        self._filter_bank.to(device)
        return self

    def embed(self, waveform: Waveform) -> npt.NDArray[np.float32]:
        """Embed the speech of one speaker.

        Args:
            waveform: (samples,), mono, 16 kHz; some seconds of speech without long pauses.

        Returns:
            (dimension,), unit length.

        Raises:
            ValueError: the waveform is shorter than MIN_SAMPLES.
        """
        if len(waveform) < MIN_SAMPLES:
            raise ValueError(
                f"{len(waveform)} samples are too few to embed a speaker; at least {MIN_SAMPLES}"
                " are needed"
            )
        n_frames = ceil(len(waveform) / HOP_SAMPLES)
        features = finish(self.frame_features(waveform, 0, n_frames))
        mask = np.ones((1, len(features), 1), np.uint8)
        offset = features.mean(dim=0, dtype=torch.float32)
        pooled = finish(self.pool(features, offset, mask, hop=len(features)))
        return normalize(torch.from_numpy(pooled[0, 0]), dim=0).numpy()

    def frame_features(
        self, waveform: Waveform, first: int, count: int, fewer: int = 1
    ) -> Units[Tensor]:
        """Run the network's frame layers, block by block, over a section of a recording.

        Args:
            waveform: (samples,), mono, 16 kHz, the recording.
            first: frame at which the section begins. Sections that begin at whole blocks have the
                features that the recording has in one section.
            count: frames of the section.
            fewer: batches are of so many times fewer blocks than otherwise.

        Returns:
            (frames, channels) at 50 Hz; `count` of them, fewer where the recording ends.
        """
        start = 2 * first * HOP_SAMPLES
        fbank_frames = max(1, 1 + (len(waveform) - start - LENGTH_SAMPLES) // HOP_SAMPLES)
        n_blocks = ceil(min(fbank_frames, 2 * count) / BLOCK_FRAMES)
        padded = _with_context(waveform, start, n_blocks)
        is_cpu = self.device.type == "cpu"
        balanced = balanced_batch_size(n_blocks, BLOCKS_PER_BATCH // fewer)
        batch_size = balanced if is_cpu else DEVICE_BLOCKS_PER_BATCH // fewer

        @torch.inference_mode()
        def features_of_batch(first_block: int) -> Tensor:
            count = min(batch_size, n_blocks - first_block)
            first_sample = first_block * BLOCK_FRAMES * HOP_SAMPLES
            samples = padded[first_sample:][: _n_samples(count)].to(self.device)
            fbank = self._filter_bank(samples).unfold(
                0, BLOCK_FRAMES + 2 * CONTEXT_FRAMES, BLOCK_FRAMES
            )
            blocks = fbank.transpose(1, 2)
            blocks = (blocks - blocks.mean(dim=1, keepdim=True)).to(self.dtype)
            # cuDNN plans anew for every size of a batch: on a GPU the last one is filled up.
            missing = 0 if is_cpu else batch_size - count
            features = self._frame_layers.forward_frames(pad(blocks, (0, 0, 0, 0, 0, missing)))
            without_context = slice(CONTEXT_FRAMES // 2, (CONTEXT_FRAMES + BLOCK_FRAMES) // 2)
            return features[:count, :, without_context].transpose(1, 2).flatten(0, 1)

        first_blocks = range(0, n_blocks, batch_size)
        batches = yield from map_in_units(features_of_batch, first_blocks, self.device)
        return torch.cat(batches)[: min(count, ceil(fbank_frames / 2))]

    def embed_statistics(self, offset: Tensor, statistics: Tensor) -> Tensor:
        """Apply the network's last layer to pooled features.

        Args:
            offset: (channels,), what was subtracted from the features before they were pooled.
            statistics: (n, 2 * channels), their means and standard deviations.

        Returns:
            (n, dimension).
        """
        return self.network.xvector["dense"](statistics + pad(offset, (0, len(offset))))

    def pool(
        self, features: Tensor, offset: Tensor, masks: np.ndarray, hop: int
    ) -> Units[np.ndarray]:
        """Embed each speaker of each chunk from the frames that a mask chooses.

        Means and standard deviations come from matrix products of features, squares and masks.

        Args:
            features: (frames, channels), of the section that the chunks lie in.
            offset: (channels,), their mean: subtracted first, for squares of values far from zero
                lose digits.
            masks: (chunks, frames per chunk, speakers), 0 or 1; chunk n begins at frame n * `hop`.
            hop: frames from the start of one chunk to the start of the next; a chunk is a whole
                number of them.

        Returns:
            (chunks, speakers, dimension), float32; NaN where fewer than MIN_FRAMES are chosen.
        """

        @torch.inference_mode()
        def pool_batch(first: int) -> np.ndarray:
            batch = masks[first : first + CHUNKS_PER_BATCH]
            n_chunks, size, _ = batch.shape
            frames = np.arange(size) + hop * np.arange(first, first + n_chunks)[:, None]
            is_recorded = (frames < len(features))[..., None]
            section = centred(features[first * hop :], offset, batch.shape, hop)
            return self._pool(section, offset, batch * is_recorded, hop).cpu().numpy()

        starts = range(0, len(masks), CHUNKS_PER_BATCH)
        return np.concatenate((yield from map_in_units(pool_batch, starts, self.device)))

    def _pool(self, section: Tensor, offset: Tensor, masks: np.ndarray, hop: int) -> Tensor:
        """As `pool` does, for a few chunks and their frames as `centred` returns them."""
        n_chunks, size, n_speakers = masks.shape
        weights = torch.from_numpy(masks).to(section)
        count = weights.sum(dim=1)[..., None]
        hops = section.view(-1, hop, section.shape[1])
        total, squares = (hops.new_zeros(n_chunks, n_speakers, hops.shape[2]) for _ in range(2))
        for n in range(size // hop):
            of_hop, frames = weights[:, n * hop : (n + 1) * hop].mT, hops[n : n + n_chunks]
            total.baddbmm_(of_hop, frames)
            squares.baddbmm_(of_hop, frames.square())
        statistics = torch.cat(mean_and_deviation(count, total, squares), dim=2)
        embeddings = self.embed_statistics(offset, statistics.flatten(0, 1))
        too_few = count < MIN_FRAMES
        return embeddings.view(n_chunks, -1, self.dimension).masked_fill(too_few, torch.nan)


def _n_samples(n_blocks: int) -> int:
    """Samples of so many blocks of filter banks, with the context on either side."""
    n_frames = n_blocks * BLOCK_FRAMES + 2 * CONTEXT_FRAMES
    return (n_frames - 1) * HOP_SAMPLES + LENGTH_SAMPLES


def _with_context(waveform: Waveform, start: int, n_blocks: int) -> Tensor:
    """(samples,), blocks from the sample `start` on, with the context on either side.

    Mirrored beyond the ends of the recording: digital silence would bend the means.
    """
    begin = start - CONTEXT_FRAMES * HOP_SAMPLES
    end = begin + _n_samples(n_blocks)
    missing = (max(0, -begin), max(0, end - len(waveform)))
    return torch.from_numpy(np.pad(waveform[max(0, begin) : end], missing, mode="symmetric"))
