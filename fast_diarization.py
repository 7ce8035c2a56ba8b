"""pyannote's SpeakerDiarization, several times faster: the same speech is never embedded twice.

pyannote cuts windows of 10 s every second and runs the embedding network anew for each of up to three speakers in
each window, silent ones included. Here the network's frame layers run once, and every (window, speaker) pair pools
its own frames. Both classes override public methods only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import torchaudio.compliance.kaldi as kaldi
from pyannote.audio.pipelines import SpeakerDiarization
from pyannote.core import SlidingWindowFeature
from torch import Tensor

from speaker_clustering import ConflictAwareClustering
from speaker_embedding import EMBEDDING_SIZE, MEL_BINS, load_speaker_embedding

SAMPLE_RATE_HZ = 16_000
SEGMENTATION_BATCH = 32
EMBEDDING_BATCH = 32
# Batch of each worker thread on a CPU: larger ones are slower there.
CPU_BATCH = 16

FBANK_SHIFT = SAMPLE_RATE_HZ // 100
FBANK_LENGTH = SAMPLE_RATE_HZ // 40
# Fbank frames (10 ms) of a block and of the context on either side; the network halves the frame rate. CAM++ mixes
# in the mean of what it sees, so much longer blocks would draw two voices together.
BLOCK, CONTEXT = 400, 100
BLOCKS_PER_BATCH = 8
FRAMES_PER_S = 50
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


class WindowedSpeakerDiarization(SpeakerDiarization):
    """Any pyannote pipeline whose embedding model has `forward_frames`: frames once per window, then pooling."""

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
        waveform, _ = model.audio(file)
        step = round(inference.step * SAMPLE_RATE_HZ)
        windows = _windows(waveform, round(inference.duration * SAMPLE_RATE_HZ), step)
        batches = map_on_threads(inference.infer, windows.split(CPU_BATCH), inference.device)
        sliding_window = super()._sliding_window(inference) if False else _sliding_window(inference)
        return SlidingWindowFeature(np.concatenate(batches), sliding_window)
