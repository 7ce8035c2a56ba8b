"""The pipeline of the bundle that `tools/build_models` writes.

CAM++'s frame layers run over the recording, not over its chunks, and their features serve twice.
Overrides public methods of pyannote 4.0's SpeakerDiarization, and sets a few private attributes.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pyannote.core import SlidingWindow, SlidingWindowFeature
from torch import Tensor

from speech_endpoint.diarization.change_detection import detect_changes, split_at_changes
from speech_endpoint.diarization.chunks import SECTION_CHUNKS, section_starts
from speech_endpoint.diarization.clustering import CoOccurrenceClustering
from speech_endpoint.diarization.embedding import FRAMES_PER_S, SpeakerEmbedder
from speech_endpoint.diarization.loading import load_network, load_plda
from speech_endpoint.diarization.local_tracks import (
    clean_segmentations,
    join_subtracks,
    non_overlapped,
    resample,
)
from speech_endpoint.diarization.pipeline import FastSpeakerDiarization, Hook
from speech_endpoint.diarization.reconstruction import reconstruct
from speech_endpoint.diarization.segmentation import FavourOverlap

SEGMENTATION_BATCH = 32
# More non-overlapped frames of the embedding than this, and a local speaker is embedded from these
# alone.
MIN_CLEAN_FRAMES = 15
# Frame features serve both to detect changes and to be pooled, and are too large to keep for a
# whole recording. pyannote calls `get_segmentations(file)`, then `get_embeddings(file, ...)`, with
# one dict, made for that call: the first leaves pooled embeddings there for the second to find.
EMBEDDINGS_KEY = "speech_endpoint/embeddings"


class BundledSpeakerDiarization(FastSpeakerDiarization):
    """The bundle that `tools/build_models` writes: pyannote's segmentation-3.0 with CAM++.

    CAM++'s frame layers run over the recording, in blocks, not over its chunks. Their features also
    tell where segmentation takes two speakers for one local speaker.
    """

    def __init__(self, bundle: Path, section_chunks: int = SECTION_CHUNKS) -> None:
        """Load a bundle.

        Args:
            bundle: a directory whose `config.json` has the paths "segmentation", "plda" and
                "embedding", relative to it.
            section_chunks: how many chunks are processed together: whole blocks, multiples of 4.
        """
        config = json.loads((bundle / "config.json").read_text())
        super().__init__(
            segmentation=load_network(bundle / config["segmentation"]),
            plda=load_plda(bundle / config["plda"]),
            # The only choice for which the constructor loads no embedding model of its own.
            clustering="OracleClustering",
            embedding_exclude_overlap=True,
            segmentation_batch_size=SEGMENTATION_BATCH,
            section_chunks=section_chunks,
        )
        self._expects_num_speakers = False
        self._segmentation.conversion = FavourOverlap(self._segmentation.conversion)
        n_local_speakers = len(self._segmentation.model.specifications.classes)
        self.klustering = CoOccurrenceClustering.__name__
        self.clustering = CoOccurrenceClustering(n_local_speakers)
        self._embedding = SpeakerEmbedder(bundle / config["embedding"])
        self.instantiate({"segmentation": {"min_duration_off": 0.0}})

    def to(self, device: torch.device) -> BundledSpeakerDiarization:
        """Move all networks to a device."""
        super().to(device)
        self._embedding.to(device)
        return self

    def get_segmentations(self, file: Any, hook: Hook | None = None) -> SlidingWindowFeature:
        """Find who speaks in each chunk, and leave the embeddings under EMBEDDINGS_KEY in `file`.

        Args:
            file: pyannote's file, a mutable mapping with "waveform" and "sample_rate".
            hook: pyannote's progress callback.

        Returns:
            (chunks, frames, columns), 0 or 1; `local_tracks` says what the columns are.
        """
        segmentations = super().get_segmentations(file, hook=hook)
        window = segmentations.sliding_window
        waveform, _ = self._segmentation.model.audio(file)
        samples = waveform[0].cpu().numpy()
        hop, size = round(window.step * FRAMES_PER_S), round(window.duration * FRAMES_PER_S)
        frame_s = self._segmentation.model.receptive_field.step
        tracks, embeddings = [], []
        for first in section_starts(len(segmentations.data), self._section_chunks):
            active = segmentations.data[first : first + self._section_chunks]
            active = active.astype(np.uint8, copy=False)
            count = (len(active) - 1) * hop + size
            features = self._embedding.frame_features(samples, first * hop, count)
            offset = features.mean(dim=0, dtype=torch.float32)
            tracks.append(self._split(active, features, offset, window))
            clean = clean_segmentations(tracks[-1], MIN_CLEAN_FRAMES / FRAMES_PER_S / frame_s)
            masks = self._at_embedding_rate(clean, window)
            embeddings.append(self._embedding.pool(features, offset, masks, hop))
        file[EMBEDDINGS_KEY] = np.concatenate(embeddings)
        return SlidingWindowFeature(np.concatenate(tracks), window)

    def get_embeddings(self, file: Any, *_: Any, **__: Any) -> np.ndarray:
        """Take the embeddings that `get_segmentations` has left in `file`.

        Returns:
            (chunks, columns, dimension); NaN where nobody speaks.
        """
        return file[EMBEDDINGS_KEY]

    def reconstruct(
        self,
        segmentations: SlidingWindowFeature,
        hard_clusters: np.ndarray,
        count: SlidingWindowFeature,
    ) -> SlidingWindowFeature:
        """Find the speakers of each frame by a smoothed vote; see `reconstruction.reconstruct`."""
        return reconstruct(segmentations, hard_clusters, count)

    def _split(
        self, active: np.ndarray, features: Tensor, offset: Tensor, window: SlidingWindow
    ) -> np.ndarray:
        """Split the local speakers of a section's chunks where their embeddings change.

        Args:
            active: (chunks, frames, speakers), 0 or 1.
            features: (frames of the section, channels), CAM++'s.
            offset: (channels,), the mean of `features`.
            window: pyannote's chunks.

        Returns:
            (chunks, frames, columns), 0 or 1.
        """
        masks = self._at_embedding_rate(non_overlapped(active), window)
        hop = round(window.step * FRAMES_PER_S)
        embed = partial(self._embedding.embed_statistics, offset)
        changes = detect_changes(features, offset, masks, hop, FRAMES_PER_S, embed)
        tracks = split_at_changes(active, self._frame_times(active.shape[1]), changes)
        return join_subtracks(tracks, axis=2)

    def _frame_times(self, n_frames: int) -> np.ndarray:
        """(n_frames,), the centres of the segmentation's frames, seconds into their chunk."""
        field = self._segmentation.model.receptive_field
        return field.start + field.duration / 2 + np.arange(n_frames) * field.step

    def _at_embedding_rate(self, masks: np.ndarray, window: SlidingWindow) -> np.ndarray:
        """(chunks, segmentation frames, speakers) -> (chunks, embedding frames, speakers)."""
        centres = (np.arange(round(window.duration * FRAMES_PER_S)) + 0.5) / FRAMES_PER_S
        return resample(masks, self._frame_times(masks.shape[1]), centres)
