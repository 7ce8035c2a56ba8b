"""pyannote's SpeakerDiarization, several times faster: the same speech is never embedded twice.

pyannote cuts chunks of 10 s, one every second, and runs the embedding network anew for each of up
to three local speakers in each chunk, silent ones included. Here the network's frame layers run
once, and every (chunk, local speaker) pair pools its own frames; segmentation shares what its
chunks share. Overrides public methods, and reads a few private attributes of pyannote 4.0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from pyannote.audio.pipelines import SpeakerDiarization
from pyannote.core import SlidingWindow, SlidingWindowFeature
from torch import Tensor
from torch.nn.functional import pad

from speech_endpoint.diarization.local_tracks import clean_segmentations
from speech_endpoint.diarization.networks.chunks import (
    SECTION_CHUNKS,
    count_chunks,
    unfold_sections,
)
from speech_endpoint.diarization.networks.segmentation import SharedFrontEndPyanNet
from speech_endpoint.hardware import balanced_batch_size, half_precision, map_on_threads
from speech_endpoint.transcript import SAMPLE_RATE_HZ

# Batch of each worker thread on a CPU, where larger ones are slower.
CPU_BATCH = 16
DEVICE_BATCH = 256
Hook = Callable[..., None]


class FastSpeakerDiarization(SpeakerDiarization):
    """A pyannote pipeline whose embedding model has `forward_frames`: run once per chunk."""

    def __init__(self, *args: Any, section_chunks: int = SECTION_CHUNKS, **kwargs: Any) -> None:
        """Take SpeakerDiarization's arguments; `section_chunks` chunks are processed together."""
        super().__init__(*args, **kwargs)
        self._section_chunks = section_chunks
        inference = self._segmentation
        self._infer: Callable[[Tensor], np.ndarray] = inference.infer
        self._network: SharedFrontEndPyanNet | None = None
        hop = round(inference.step * SAMPLE_RATE_HZ)
        if SharedFrontEndPyanNet.supports(inference.model, hop):
            self._network = SharedFrontEndPyanNet(inference.model)
            self._infer = self._segment

    @classmethod
    def from_pipeline(cls, pipeline: SpeakerDiarization) -> SpeakerDiarization:
        """Make the fast form of a loaded pipeline, with its models and settings.

        Returns:
            A pipeline of this class; `pipeline` itself where it is of another kind, or its
            embedding model is.
        """
        model = getattr(getattr(pipeline, "_embedding", None), "model_", None)
        if type(pipeline) is not SpeakerDiarization or not hasattr(model, "forward_frames"):
            return pipeline
        fast = cls(
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
            fast.instantiate(pipeline.parameters(instantiated=True))
        return fast

    def to(self, device: torch.device) -> FastSpeakerDiarization:
        """Move all networks to a device."""
        super().to(device)
        if self._network is not None:
            self._network.to(device, half_precision(device))
        return self

    def _segment(self, chunks: Tensor) -> np.ndarray:
        """(chunks, 1, samples), a view of one waveform -> (chunks, frames, speakers)."""
        assert self._network is not None
        active: np.ndarray = self._segmentation.conversion(self._network(chunks)).cpu().numpy()
        return active

    def get_segmentations(self, file: Any, hook: Hook | None = None) -> SlidingWindowFeature:
        """Find who speaks in each chunk; on a CPU, batches run in parallel.

        Args:
            file: pyannote's file, a mapping with "waveform" and "sample_rate".
            hook: pyannote's progress callback; called for networks of another kind only.

        Returns:
            (chunks, frames, speakers), 0 or 1 where the model is a powerset model.
        """
        inference = self._segmentation
        model = inference.model
        is_cpu = inference.device.type == "cpu"
        if not model.specifications.powerset or not (is_cpu or self._network):
            return super().get_segmentations(file, hook=hook)
        waveform, rate_hz = model.audio(file)
        size, hop = round(inference.duration * rate_hz), round(inference.step * rate_hz)
        n_chunks = count_chunks(waveform.shape[-1], size, hop)
        segmentations = []
        for chunks in unfold_sections(waveform, size, hop, n_chunks, self._section_chunks):
            size_of_batch = balanced_batch_size(len(chunks), CPU_BATCH)
            batches = chunks.split(size_of_batch if is_cpu else DEVICE_BATCH)
            active = map_on_threads(self._infer, batches, inference.device)
            segmentations.append(np.concatenate(active).astype(np.uint8))
        chunk_window = SlidingWindow(start=0.0, duration=inference.duration, step=inference.step)
        return SlidingWindowFeature(np.concatenate(segmentations), chunk_window)

    def get_embeddings(
        self,
        file: Any,
        binary_segmentations: SlidingWindowFeature,
        exclude_overlap: bool = False,
        hook: Hook | None = None,
    ) -> np.ndarray:
        """Embed every local speaker of every chunk, with the result that pyannote computes.

        Args:
            file: pyannote's file, a mapping with "waveform" and "sample_rate".
            binary_segmentations: (chunks, frames, speakers), 0 or 1.
            exclude_overlap: embed from non-overlapped frames, where there are enough.
            hook: not called.

        Returns:
            (chunks, speakers, dimension).
        """
        window, rate_hz = binary_segmentations.sliding_window, self._embedding.sample_rate
        n_chunks, n_frames, _ = binary_segmentations.data.shape
        size, hop = round(window.duration * rate_hz), round(window.step * rate_hz)
        min_num_samples = self._embedding.min_num_samples
        min_frames = math.ceil(n_frames * min_num_samples / (window.duration * rate_hz))
        waveform, _ = self._audio(file)
        embeddings: list[np.ndarray] = []
        first = 0
        for chunks in unfold_sections(waveform, size, hop, n_chunks, self._section_chunks):
            active = np.nan_to_num(binary_segmentations.data[first : first + len(chunks)])
            if exclude_overlap:
                active = clean_segmentations(active, min_frames)
            embeddings += self._embed_section(chunks, active)
            first += len(chunks)
        return np.concatenate(embeddings)

    def _frames(self, samples: Tensor) -> Tensor:
        """The embedding model's `forward_frames`; on a GPU a WeSpeaker ResNet in 16 bits."""
        device, model = self._embedding.device, self._embedding.model_
        if device.type == "cpu" or not hasattr(model, "compute_fbank"):
            return model.forward_frames(samples)
        # Not these: energies of the filter banks are too large for float16.
        fbank = model.compute_fbank(samples)
        with torch.autocast(device.type, half_precision(device)):
            return model.resnet.forward_frames(fbank)

    def _embed_section(self, chunks: Tensor, active: np.ndarray) -> list[np.ndarray]:
        """Embed the local speakers of chunks from the frames in which they are active.

        Args:
            chunks: (chunks, 1, samples).
            active: (chunks, frames, speakers), 0 or 1.

        Returns:
            Batches of (chunks, speakers, dimension).
        """
        device, model = self._embedding.device, self._embedding.model_
        is_cpu = device.type == "cpu"
        size = balanced_batch_size(len(chunks), CPU_BATCH) if is_cpu else self.embedding_batch_size

        @torch.inference_mode()
        def embed(batch: tuple[Tensor, Tensor]) -> np.ndarray:
            samples, weights = (tensor.to(device) for tensor in batch)
            count = len(samples)
            # cuDNN's workspace of an odd last batch may be larger than that of a whole one.
            missing = 0 if is_cpu else size - count
            frames = self._frames(pad(samples, (0, 0, 0, 0, 0, missing)))[:count]
            return model.forward_embedding(frames.float(), weights=weights).cpu().numpy()

        masks = torch.from_numpy(active).float().transpose(1, 2)
        batches = zip(chunks.split(size), masks.split(size), strict=True)
        return map_on_threads(embed, batches, device)
