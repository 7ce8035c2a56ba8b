"""pyannote's SpeakerDiarization, several times faster: the same speech is never embedded twice.

pyannote cuts windows of 10 s every second and runs the embedding network anew for each of up to three speakers in
each window, silent ones included. Here the network's frame layers run once, and every (window, speaker) pair pools
its own frames; segmentation shares what its windows share. Both classes override public methods only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
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

from speech_endpoint.diarization.campplus import (
    EMBEDDING_SIZE,
    MEL_BINS,
    CamPlusPlus,
    mean_and_deviation,
)
from speech_endpoint.diarization.change_detection import Change, speaker_changes, split_voices
from speech_endpoint.diarization.clustering import ConflictAwareClustering
from speech_endpoint.diarization.segmentation import OverlappingWindows
from speech_endpoint.hardware import has_bfloat16, release_freed_memory
from speech_endpoint.transcript import SAMPLE_RATE_HZ

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
# Windows (one begins every second) that are worked on together: of a whole recording only what was found is kept. So
# many seconds are a whole number of blocks.
STRETCH_WINDOWS = 600
# Under this name a file that is being diarized carries what `get_segmentations` made of its voices.
EMBEDDINGS = "embeddings"
# A voice needs this much speech to be embedded; alone if it has as much alone, else also where others talk.
MIN_FRAMES = 3
MIN_CLEAN_FRAMES = 15

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_on_threads(
    function: Callable[[Item], Result], items: Iterable[Item], device: torch.device
) -> list[Result]:
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

    def get_segmentations(
        self, file: Any, hook: Callable[..., None] | None = None
    ) -> SlidingWindowFeature:
        """Who speaks in each window: (windows, frames, speakers); batches run side by side on a CPU."""
        inference = self._segmentation
        model = inference.model
        if inference.device.type != "cpu" or not model.specifications.powerset:
            return super().get_segmentations(file, hook=hook)
        waveform, rate_hz = model.audio(file)
        found = []
        for windows in _stretches(
            waveform, round(inference.duration * rate_hz), round(inference.step * rate_hz)
        ):
            batches = map_on_threads(
                self.infer, windows.split(even_batch(len(windows), CPU_BATCH)), inference.device
            )
            found.append(np.concatenate(batches).astype(np.uint8))
        sliding_window = SlidingWindow(start=0.0, duration=inference.duration, step=inference.step)
        return SlidingWindowFeature(np.concatenate(found), sliding_window)

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
        count, frames, _ = binary_segmentations.data.shape
        least = -1
        if exclude_overlap:
            least = math.ceil(
                frames * self._embedding.min_num_samples / (window.duration * rate_hz)
            )
        waveform, _ = self._audio(file)
        device = self._embedding.device

        @torch.inference_mode()
        def embed(pair: tuple[Tensor, Tensor]) -> np.ndarray:
            samples, weights = (part.to(device) for part in pair)
            model = self._embedding.model_
            return (
                model.forward_embedding(model.forward_frames(samples), weights=weights)
                .float()
                .cpu()
                .numpy()
            )

        found, first = [], 0
        for windows in _stretches(
            waveform, round(window.duration * rate_hz), round(window.step * rate_hz), count
        ):
            active = np.nan_to_num(binary_segmentations.data[first : first + len(windows)])
            masks = torch.from_numpy(clean_masks(active, least)).float().transpose(1, 2)
            batch = (
                even_batch(len(windows), CPU_BATCH)
                if device.type == "cpu"
                else self.embedding_batch_size
            )
            found += map_on_threads(
                embed, zip(windows.split(batch), masks.split(batch), strict=True), device
            )
            first += len(windows)
        return np.concatenate(found)


class LocalSpeakerDiarization(WindowedSpeakerDiarization):
    """The bundle that `tools/build_models` writes: pyannote's segmentation-3.0 and the CAM++ embedding.

    CAM++'s frame layers run over the recording, in blocks, not over its windows. They also tell where segmentation
    takes two people for one voice.
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
        self.clustering = ConflictAwareClustering(
            len(self._segmentation.model.specifications.classes)
        )
        self._embedding = _CampEmbedding(bundle / config["embedding"])
        self.instantiate({"segmentation": {"min_duration_off": 0.0}})

    def to(self, device: torch.device) -> LocalSpeakerDiarization:
        super().to(device)
        self._embedding.to(device)
        return self

    def get_segmentations(
        self, file: Any, hook: Callable[..., None] | None = None
    ) -> SlidingWindowFeature:
        """Who speaks in each window: (windows, frames, MOST_PARTS * voices), as `split_voices` has them.

        The embedding's frames of a stretch serve twice, to tell where voices change and to embed who they are, and are
        forgotten: `get_embeddings` finds what was pooled of them in `file`.
        """
        segmentations = super().get_segmentations(file, hook=hook)
        window = segmentations.sliding_window
        waveform, _ = self._segmentation.model.audio(file)
        samples = waveform[0].cpu().numpy()
        step, size = round(window.step * FRAMES_PER_S), round(window.duration * FRAMES_PER_S)
        least = MIN_CLEAN_FRAMES / FRAMES_PER_S / self._segmentation.model.receptive_field.step
        voices, embeddings = [], []
        for first in _stretch_starts(len(segmentations.data)):
            active = segmentations.data[first : first + STRETCH_WINDOWS].astype(
                np.uint8, copy=False
            )
            frames = self._embedding.frames(samples, first * step, (len(active) - 1) * step + size)
            offset = frames.mean(dim=0, dtype=torch.float32)
            voices.append(self._split(active, frames, offset, window))
            masks = self._at_embedding_rate(clean_masks(voices[-1], least), window)
            embeddings.append(self._embedding.pool(frames, offset, masks, step))
        file[EMBEDDINGS] = np.concatenate(embeddings)
        return SlidingWindowFeature(np.concatenate(voices), window)

    def get_embeddings(self, file: Any, *_: Any, **__: Any) -> np.ndarray:
        """(windows, MOST_PARTS * voices, dimension), of `get_segmentations`; NaN for who does not speak."""
        found: np.ndarray = file[EMBEDDINGS]
        return found

    def reconstruct(
        self,
        segmentations: SlidingWindowFeature,
        hard_clusters: np.ndarray,
        count: SlidingWindowFeature,
    ) -> SlidingWindowFeature:
        """Who talks in each frame: as many as `count` says, those for whom most windows vote.

        Where windows are at odds about a border, neighbouring frames would be tossed to and fro, and a word with them:
        votes are averaged over VOTE_FRAMES.

        Args:
            segmentations: (windows, frames, speakers), 0 or 1.
            hard_clusters: (windows, speakers), the person that each is; nobody where negative.
            count: (frames of the recording, 1).

        Returns:
            (frames of the recording, persons), 0 or 1.
        """
        # As in pyannote, somebody unknown where more people talk at once than were told apart.
        persons = np.arange(max(hard_clusters.max() + 1, count.data.max()))
        frames = count.sliding_window
        votes = np.zeros((len(count.data), len(persons)), np.float32)
        for n, (window, active) in enumerate(segmentations):
            said = np.stack(
                [active[:, hard_clusters[n] == person].any(axis=1) for person in persons], axis=1
            )
            first = frames.closest_frame(window.start + frames.duration / 2)
            steady = uniform_filter1d(said.astype(float), VOTE_FRAMES, axis=0, mode="nearest")
            votes[first : first + len(steady)] += steady
        talks, all_frames = np.zeros(votes.shape, np.uint8), np.arange(len(votes))
        for rank in range(count.data.max()):
            most = votes.argmax(axis=1)
            talks[all_frames, most] = rank < count.data[:, 0]
            votes[all_frames, most] = -1
        return SlidingWindowFeature(talks, frames)

    def _split(
        self, active: np.ndarray, frames: Tensor, offset: Tensor, window: SlidingWindow
    ) -> np.ndarray:
        """`split_voices` of the windows of a stretch, where their embeddings change."""
        alone = self._at_embedding_rate(talks_alone(active), window)

        @torch.inference_mode()
        def changes(n: int) -> list[list[Change]]:
            heard = (
                frames[n * round(window.step * FRAMES_PER_S) :][: alone.shape[1]].float() - offset
            )
            padded = torch.nn.functional.pad(heard, (0, 0, 0, alone.shape[1] - len(heard)))
            voices = torch.from_numpy(alone[n]).to(padded)
            return speaker_changes(
                padded, voices, FRAMES_PER_S, partial(self._embedding.final, offset)
            )

        found = map_on_threads(changes, range(len(active)), self._embedding.device)
        return split_voices(active, self._frame_times(active.shape[1]), found)

    def _frame_times(self, count: int) -> np.ndarray:
        """Centres of the segmentation's frames, seconds into their window."""
        field = self._segmentation.model.receptive_field
        return field.start + field.duration / 2 + np.arange(count) * field.step

    def _at_embedding_rate(self, masks: np.ndarray, window: SlidingWindow) -> np.ndarray:
        """(windows, frames of the segmentation, speakers) -> (windows, frames of the embedding, speakers)."""
        centres = (np.arange(round(window.duration * FRAMES_PER_S)) + 0.5) / FRAMES_PER_S
        times = self._frame_times(masks.shape[1])
        nearest = np.rint((centres - times[0]) / (times[1] - times[0]))
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

    def frames(self, waveform: np.ndarray, first: int, count: int) -> Tensor:
        """What the network makes of each moment of a stretch of a recording.

        Args:
            waveform: (samples,) at 16 kHz, the recording.
            first: the frame at which the stretch begins, the first of a block.

        Returns:
            (frames, channels) at 50 Hz; `count` of them, less where the recording ends.
        """
        start = 2 * first * FBANK_SHIFT
        left = max(1, 1 + (len(waveform) - start - FBANK_LENGTH) // FBANK_SHIFT)
        blocks = -(-min(left, 2 * count) // BLOCK)
        before = CONTEXT * FBANK_SHIFT
        begin, end = start - before, start - before + _samples(blocks)
        # Mirrored at both ends: digital silence would bend the means.
        missing = (max(0, -begin), max(0, end - len(waveform)))
        padded = torch.from_numpy(np.pad(waveform[max(0, begin) : end], missing, mode="symmetric"))
        batch = even_batch(blocks, BLOCKS_PER_BATCH)

        @torch.inference_mode()
        def run(block: int) -> Tensor:
            samples = padded[block * BLOCK * FBANK_SHIFT :][: _samples(min(batch, blocks - block))]
            features = _fbank(samples).unfold(0, BLOCK + 2 * CONTEXT, BLOCK).transpose(1, 2)
            features = (features - features.mean(dim=1, keepdim=True)).to(self.device)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
                frames = self.network.forward_frames(features)
            return frames[..., CONTEXT // 2 : (CONTEXT + BLOCK) // 2].transpose(1, 2).flatten(0, 1)

        parts = map_on_threads(run, range(0, blocks, batch), self.device)
        return torch.cat(parts)[: min(count, -(-left // 2))]

    def final(self, offset: Tensor, statistics: Tensor) -> Tensor:
        """The network's last layer: (n, 2 * channels), means less `offset` and deviations -> (n, dimension)."""
        found: Tensor = self.network.xvector["dense"](
            statistics + torch.nn.functional.pad(offset, (0, len(offset)))
        )
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
            weights = (
                torch.from_numpy(masks[first : first + EMBEDDING_BATCH]).float().to(frames.device)
            )
            count, size, _ = weights.shape
            stretch = frames[first * step : (first + count - 1) * step + size].float() - offset
            weights = (
                weights
                * _windows(torch.ones(1, len(stretch), device=frames.device), size, step, count)[
                    :, 0, :, None
                ]
            )
            window = _windows(stretch.T, size, step, count)
            total = weights.sum(dim=1).unsqueeze(1)
            squares = _windows(stretch.T.square(), size, step, count) @ weights
            statistics = torch.cat(
                mean_and_deviation(total, window @ weights, squares), dim=1
            ).transpose(1, 2)
            found = self.final(offset, statistics.flatten(0, 1)).view(count, -1, EMBEDDING_SIZE)
            embeddings.append(
                found.masked_fill(total.transpose(1, 2) < MIN_FRAMES, torch.nan).cpu().numpy()
            )
        return np.concatenate(embeddings)


def talks_alone(active: np.ndarray) -> np.ndarray:
    """(windows, frames, speakers), 0 or 1 -> the same, 0 where more than one talks."""
    alone: np.ndarray = active * (active.sum(axis=2, keepdims=True) < 2)
    return alone


def clean_masks(active: np.ndarray, least: float) -> np.ndarray:
    """Where each speaker talks alone if that is more than `least` frames, else wherever they talk; -1: always that.

    active : (windows, frames, speakers), 0 or 1
    """
    if least < 0:
        return active
    clean = talks_alone(active)
    return np.where(clean.sum(axis=1, keepdims=True) > least, clean, active)


def _samples(blocks: int) -> int:
    """How many samples so many blocks of fbank frames take, with the context on either side."""
    return (blocks * BLOCK + 2 * CONTEXT - 1) * FBANK_SHIFT + FBANK_LENGTH


def _fbank(waveform: Tensor) -> Tensor:
    """(samples,) in [-1, 1] -> (frames, 80) Kaldi filter banks, 100 Hz, as CAM++ was trained on."""
    return kaldi.fbank(
        waveform[None] * 2**15,
        num_mel_bins=MEL_BINS,
        sample_frequency=SAMPLE_RATE_HZ,
        window_type="hamming",
        dither=0.0,
    )


def _stretches(signal: Tensor, size: int, step: int, count: int | None = None) -> Iterator[Tensor]:
    """`_windows`, at most STRETCH_WINDOWS at a time."""
    total = 1 + max(0, -(-(signal.shape[-1] - size) // step)) if count is None else count
    for first in _stretch_starts(total):
        some = min(STRETCH_WINDOWS, total - first)
        yield _windows(signal[:, first * step : (first + some - 1) * step + size], size, step, some)


def _stretch_starts(windows: int) -> Iterator[int]:
    """The first window of each stretch; what a stretch of a long recording has used is given back after it."""
    for first in range(0, windows, STRETCH_WINDOWS):
        yield first
        if windows > STRETCH_WINDOWS:
            release_freed_memory()


def _windows(signal: Tensor, size: int, step: int, count: int) -> Tensor:
    """(channels, n) -> (windows, channels, size), zeros after the end."""
    padded = torch.nn.functional.pad(
        signal, (0, max(0, (count - 1) * step + size - signal.shape[-1]))
    )
    return padded.unfold(-1, size, step)[:, :count].transpose(0, 1)
