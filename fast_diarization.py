"""pyannote's SpeakerDiarization, several times faster: the same speech is never embedded twice.

pyannote cuts windows of 10 s every second and runs the embedding network anew for each of up to three speakers in
each window, silent ones included. Here the network's frame layers run once, and every (window, speaker) pair pools
its own frames; segmentation shares what its windows share. Both classes override public methods only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import torchaudio.compliance.kaldi as kaldi
from pyannote.audio.pipelines import SpeakerDiarization
from pyannote.core import SlidingWindow, SlidingWindowFeature
from safetensors.torch import load_file
from scipy.ndimage import uniform_filter1d
from torch import Tensor

from speaker_clustering import ConflictAwareClustering
from speaker_embedding import EMBEDDING_SIZE, MEL_BINS, CamPlusPlus, mean_and_deviation
from speaker_segmentation import OverlappingWindows
from transcript import SAMPLE_RATE_HZ
from voice_splitting import Change, speaker_changes, split_voices
from whisper_asr.kernels import has_bfloat16

SEGMENTATION_BATCH = 32
EMBEDDING_BATCH = 32
# Batch of each worker thread on a CPU: larger ones are slower there.
CPU_BATCH = 16

FBANK_SHIFT = SAMPLE_RATE_HZ // 100
FBANK_LENGTH = SAMPLE_RATE_HZ // 40
# Fbank frames (10 ms) of a block and of the context on either side; the network halves the frame rate. CAM++ mixes
# in the mean of what it sees, so much longer blocks would draw two voices together.
BLOCK, CONTEXT = 400, 100
BLOCKS_PER_BATCH = 4
FRAMES_PER_S = 50
# Windows' votes are averaged over so many frames of the segmentation (0.15 s; 0.12 to 0.5 s serve words alike).
VOTE_FRAMES = 9
# Under this name a file that is being diarized carries the frames of its embedding, and their mean.
FRAMES = "embedding_frames"
# A voice needs this much speech to be embedded; alone if it has as much alone, else also where others talk.
MIN_FRAMES = 3
MIN_CLEAN_FRAMES = 15

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_on_threads(function: Callable[[Item], Result], items: Iterable[Item], device: torch.device) -> list[Result]:
    """`function` of every item, in order; on a CPU with one torch thread per worker.

    Independent batches on one thread each are a quarter faster than all threads on one batch, and, unlike those,
    no slower when the machine is busy with other work.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        return [function(item) for item in items]
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(function, items))
    finally:
        # New threads start with what was set last, anywhere in the process.
        torch.set_num_threads(threads)


def even_batch(count: int, most: int) -> int:
    """Size of the batches, at most `most`, of which each worker of `map_on_threads` has as many as the others."""
    rounds = -(-count // (most * torch.get_num_threads()))
    return max(1, -(-count // (rounds * torch.get_num_threads())))


class WindowedSpeakerDiarization(SpeakerDiarization):
    """Any pyannote pipeline whose embedding model has `forward_frames`: frames once per window, then pooling."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        inference = self._segmentation
        self.infer: Callable[[Tensor], np.ndarray] = inference.infer
        if OverlappingWindows.serves(inference.model, round(inference.step * SAMPLE_RATE_HZ)):
            network = OverlappingWindows(inference.model, half=has_bfloat16(torch.device("cpu")))
            self.infer = lambda windows: inference.conversion(network(windows)).numpy()

    @classmethod
    def from_pipeline(cls, pipeline: SpeakerDiarization) -> SpeakerDiarization:
        """The faster twin of a loaded pipeline, with its models and settings; or the pipeline itself."""
        model = getattr(getattr(pipeline, "_embedding", None), "model_", None)
        if type(pipeline) is not SpeakerDiarization or not hasattr(model, "forward_embedding"):
            return pipeline
        twin = cls(
            legacy=pipeline.legacy,
            segmentation=pipeline._segmentation.model,
            segmentation_step=pipeline.segmentation_step,
            embedding=model,
            embedding_exclude_overlap=pipeline.embedding_exclude_overlap,
            plda=pipeline._plda,
            clustering=pipeline.klustering,
            embedding_batch_size=pipeline.embedding_batch_size,
            segmentation_batch_size=pipeline.segmentation_batch_size,
            der_variant=pipeline.der_variant,
        )
        if pipeline.instantiated:
            twin.instantiate(pipeline.parameters(instantiated=True))
        return twin

    def get_segmentations(self, file: Any, hook: Callable[..., None] | None = None) -> SlidingWindowFeature:
        """Who speaks in each window: (windows, frames, speakers); batches run side by side on a CPU."""
        inference = self._segmentation
        model = inference.model
        if inference.device.type != "cpu" or not model.specifications.powerset:
            return super().get_segmentations(file, hook=hook)
        waveform, rate_hz = model.audio(file)
        windows = _windows(waveform, round(inference.duration * rate_hz), round(inference.step * rate_hz))
        batches = map_on_threads(self.infer, windows.split(even_batch(len(windows), CPU_BATCH)), inference.device)
        sliding_window = SlidingWindow(start=0.0, duration=inference.duration, step=inference.step)
        return SlidingWindowFeature(np.concatenate(batches), sliding_window)

    def get_embeddings(
        self,
        file: Any,
        binary_segmentations: SlidingWindowFeature,
        exclude_overlap: bool = False,
        hook: Callable[..., None] | None = None,
    ) -> np.ndarray:
        """(windows, frames, speakers) of 0 and 1 -> (windows, speakers, dimension), as pyannote computes them."""
        if self.training:
            return super().get_embeddings(file, binary_segmentations, exclude_overlap, hook)
        rate_hz, window = self._embedding.sample_rate, binary_segmentations.sliding_window
        active = np.nan_to_num(binary_segmentations.data)
        least = -1
        if exclude_overlap:
            least = math.ceil(active.shape[1] * self._embedding.min_num_samples / (window.duration * rate_hz))
        masks = torch.from_numpy(clean_masks(active, least)).float().transpose(1, 2)
        waveform, _ = self._audio(file)
        windows = _windows(waveform, round(window.duration * rate_hz), round(window.step * rate_hz))
        device = self._embedding.device
        batch = even_batch(len(masks), CPU_BATCH) if device.type == "cpu" else self.embedding_batch_size
        pairs = zip(windows[: len(masks)].split(batch), masks.split(batch), strict=True)

        @torch.inference_mode()
        def embed(pair: tuple[Tensor, Tensor]) -> np.ndarray:
            samples, weights = (part.to(device) for part in pair)
            model = self._embedding.model_
            return model.forward_embedding(model.forward_frames(samples), weights=weights).float().cpu().numpy()

        return np.concatenate(map_on_threads(embed, pairs, device))


class LocalSpeakerDiarization(WindowedSpeakerDiarization):
    """The bundle that `scripts/build_models.py` writes: pyannote's segmentation-3.0 and the CAM++ embedding.

    CAM++'s frame layers run once over the recording, in blocks. They also tell where segmentation takes two people for
    one voice.
    """

    def __init__(self, bundle: Path) -> None:
        config = json.loads((bundle / "config.json").read_text())
        super().__init__(
            segmentation=str(bundle / config["segmentation"]),
            plda=str(bundle / config["plda"]),
            # The only choice for which the constructor loads no embedding model of its own.
            clustering="OracleClustering",
            embedding_exclude_overlap=True,
            segmentation_batch_size=SEGMENTATION_BATCH,
        )
        self._expects_num_speakers = False
        self.klustering = "ConflictAwareClustering"
        self.clustering = ConflictAwareClustering(len(self._segmentation.model.specifications.classes))
        self._embedding = _CampEmbedding(bundle / config["embedding"])
        self.instantiate({"segmentation": {"min_duration_off": 0.0}})

    def to(self, device: torch.device) -> LocalSpeakerDiarization:
        super().to(device)
        self._embedding.to(device)
        return self

    def get_segmentations(self, file: Any, hook: Callable[..., None] | None = None) -> SlidingWindowFeature:
        """Who speaks in each window: (windows, frames, parts * voices), as `split_voices` has them."""
        segmentations = super().get_segmentations(file, hook=hook)
        window = segmentations.sliding_window
        waveform, _ = self._segmentation.model.audio(file)
        frames = self._embedding.frames(waveform[0].cpu().numpy())
        offset = frames.mean(dim=0, dtype=torch.float32)
        file[FRAMES] = frames, offset
        active = segmentations.data
        alone = self._at_embedding_rate(active * (active.sum(axis=2, keepdims=True) < 2), window)
        pairs = zip(alone, range(0, len(frames), round(window.step * FRAMES_PER_S)), strict=False)

        @torch.inference_mode()
        def changes(pair: tuple[np.ndarray, int]) -> list[list[Change]]:
            talks, first = pair
            heard = frames[first : first + len(talks)].float() - offset
            padded = torch.nn.functional.pad(heard, (0, 0, 0, len(talks) - len(heard)))
            voices = torch.from_numpy(talks).to(padded.device)
            return speaker_changes(padded, voices, FRAMES_PER_S, partial(self._embedding.final, offset))

        found = map_on_threads(changes, pairs, self._embedding.device)
        receptive_field = self._segmentation.model.receptive_field
        times = receptive_field.start + receptive_field.duration / 2 + np.arange(active.shape[1]) * receptive_field.step
        return SlidingWindowFeature(split_voices(active, times, found), window)

    def get_embeddings(
        self,
        file: Any,
        binary_segmentations: SlidingWindowFeature,
        exclude_overlap: bool = False,
        hook: Callable[..., None] | None = None,
    ) -> np.ndarray:
        """(windows, frames, speakers) of 0 and 1 -> (windows, speakers, dimension); NaN for who does not speak."""
        window = binary_segmentations.sliding_window
        active = np.nan_to_num(binary_segmentations.data)
        least = MIN_CLEAN_FRAMES * active.shape[1] / (window.duration * FRAMES_PER_S)
        masks = self._at_embedding_rate(clean_masks(active, least if exclude_overlap else -1), window)
        frames, offset = file[FRAMES]
        return self._embedding.pool(frames, offset, masks, round(window.step * FRAMES_PER_S))

    @staticmethod
    def to_diarization(segmentations: SlidingWindowFeature, count: SlidingWindowFeature) -> SlidingWindowFeature:
        """Who talks in each frame: as many as `count` says, those for whom most windows vote.

        Where windows are at odds about a border, neighbouring frames would be tossed to and fro, and a word with them.

        Args:
            segmentations: (windows, frames, persons), 0 or 1; NaN where a window does not know the person.
            count: (frames, 1).
        """
        votes = uniform_filter1d(segmentations.data, VOTE_FRAMES, axis=1, mode="nearest")
        steady = SlidingWindowFeature(votes, segmentations.sliding_window)
        return SpeakerDiarization.to_diarization(steady, count)

    def _at_embedding_rate(self, masks: np.ndarray, window: SlidingWindow) -> np.ndarray:
        """(windows, frames of the segmentation, speakers) -> (windows, frames of the embedding, speakers)."""
        receptive_field = self._segmentation.model.receptive_field
        centres = (np.arange(round(window.duration * FRAMES_PER_S)) + 0.5) / FRAMES_PER_S
        nearest = np.rint((centres - receptive_field.start - receptive_field.duration / 2) / receptive_field.step)
        return masks[:, np.clip(nearest.astype(int), 0, masks.shape[1] - 1)]


class _CampEmbedding:
    """CAM++ with the attributes that SpeakerDiarization reads of an embedding."""

    dimension = EMBEDDING_SIZE
    sample_rate = SAMPLE_RATE_HZ
    metric = "cosine"

    def __init__(self, weights: Path) -> None:
        self.network = CamPlusPlus()
        self.network.load_state_dict(load_file(weights))
        self.network.eval()
        self.to(torch.device("cpu"))

    def to(self, device: torch.device) -> None:
        self.device = device
        self.network.to(device)
        self.half = has_bfloat16(device)

    def frames(self, waveform: np.ndarray) -> Tensor:
        """(samples,) at 16 kHz -> (frames, channels) at 50 Hz: what the network makes of each moment."""
        fbank_frames = max(1, 1 + (len(waveform) - FBANK_LENGTH) // FBANK_SHIFT)
        blocks = -(-fbank_frames // BLOCK)
        total = (blocks * BLOCK + 2 * CONTEXT - 1) * FBANK_SHIFT + FBANK_LENGTH
        before = CONTEXT * FBANK_SHIFT
        # Mirrored at both ends: digital silence would bend the means.
        padded = torch.from_numpy(np.pad(waveform, (before, max(0, total - before - len(waveform))), mode="symmetric"))

        batch = even_batch(blocks, BLOCKS_PER_BATCH)

        @torch.inference_mode()
        def run(first: int) -> Tensor:
            count = min(batch, blocks - first)
            start = first * BLOCK * FBANK_SHIFT
            length = (count * BLOCK + 2 * CONTEXT - 1) * FBANK_SHIFT + FBANK_LENGTH
            features = _fbank(padded[start : start + length]).unfold(0, BLOCK + 2 * CONTEXT, BLOCK).transpose(1, 2)
            features = (features - features.mean(dim=1, keepdim=True)).to(self.device)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
                frames = self.network.forward_frames(features)
            return frames[..., CONTEXT // 2 : (CONTEXT + BLOCK) // 2].transpose(1, 2).flatten(0, 1)

        parts = map_on_threads(run, range(0, blocks, batch), self.device)
        return torch.cat(parts)[: -(-fbank_frames // 2)]

    def final(self, offset: Tensor, statistics: Tensor) -> Tensor:
        """The network's last layer: (n, 2 * channels), means less `offset` and deviations -> (n, dimension)."""
        found: Tensor = self.network.xvector["dense"](statistics + torch.nn.functional.pad(offset, (0, len(offset))))
        return found

    @torch.inference_mode()
    def pool(self, frames: Tensor, offset: Tensor, masks: np.ndarray, step: int) -> np.ndarray:
        """Mean and deviation of each voice's frames, by matrix products, then the network's last layer.

        Args:
            frames: (frames, channels).
            offset: (channels,), their mean: squares of values far from zero lose digits, so all are taken from it.
            masks: (windows, frames per window, speakers), 0 or 1; window n begins at frame n * `step`.

        Returns:
            (windows, speakers, dimension); NaN where fewer than MIN_FRAMES count.
        """
        embeddings = []
        for first in range(0, len(masks), EMBEDDING_BATCH):
            weights = torch.from_numpy(masks[first : first + EMBEDDING_BATCH]).float().to(frames.device)
            count, size, _ = weights.shape
            stretch = frames[first * step : (first + count - 1) * step + size].float() - offset
            weights = (
                weights * _windows(torch.ones(1, len(stretch), device=frames.device), size, step, count)[:, 0, :, None]
            )
            window = _windows(stretch.T, size, step, count)
            total = weights.sum(dim=1).unsqueeze(1)
            squares = _windows(stretch.T.square(), size, step, count) @ weights
            statistics = torch.cat(mean_and_deviation(total, window @ weights, squares), dim=1).transpose(1, 2)
            found = self.final(offset, statistics.flatten(0, 1)).view(count, -1, EMBEDDING_SIZE)
            embeddings.append(found.masked_fill(total.transpose(1, 2) < MIN_FRAMES, torch.nan).cpu().numpy())
        return np.concatenate(embeddings)


def clean_masks(active: np.ndarray, least: float) -> np.ndarray:
    """Where each speaker talks alone if that is more than `least` frames, else wherever they talk; -1: always that.

    active : (windows, frames, speakers), 0 or 1
    """
    if least < 0:
        return active
    clean = active * (active.sum(axis=2, keepdims=True) < 2)
    return np.where(clean.sum(axis=1, keepdims=True) > least, clean, active)


def _fbank(waveform: Tensor) -> Tensor:
    """(samples,) in [-1, 1] -> (frames, 80) Kaldi filter banks, 100 Hz, as CAM++ was trained on."""
    return kaldi.fbank(
        waveform[None] * 2**15,
        num_mel_bins=MEL_BINS,
        sample_frequency=SAMPLE_RATE_HZ,
        window_type="hamming",
        dither=0.0,
    )


def _windows(signal: Tensor, size: int, step: int, count: int | None = None) -> Tensor:
    """(channels, n) -> (windows, channels, size), zeros after the end; as many as cover the signal unless `count`."""
    length = signal.shape[-1]
    if count is None:
        count = 1 + max(0, -(-(length - size) // step))
    padded = torch.nn.functional.pad(signal, (0, max(0, (count - 1) * step + size - length)))
    return padded.unfold(-1, size, step)[:, :count].transpose(0, 1)
