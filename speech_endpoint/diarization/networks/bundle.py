"""The pipeline of the bundle that `tools/build_models` writes: segmentation-3.0 with CAM++.

As pyannote's SpeakerDiarization: chunks are segmented, local speakers embedded, clustered, and the
chunks vote. But CAM++'s frame layers run over the recording, not over its chunks, and their
features also tell where segmentation takes two speakers for one local speaker.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import torch
from pyannote.audio.utils.powerset import Powerset
from torch import Tensor

from speech_endpoint.diarization.clustering.change_detection import detect_changes, split_at_changes
from speech_endpoint.diarization.clustering.clustering import cluster_columns
from speech_endpoint.diarization.confidence import with_confidence
from speech_endpoint.diarization.limits import SpeakerLimits
from speech_endpoint.diarization.loading import UnusableFile, load_network
from speech_endpoint.diarization.local_tracks import (
    clean_segmentations,
    join_subtracks,
    non_overlapped,
    resample,
)
from speech_endpoint.diarization.networks.chunks import (
    SECTION_CHUNKS,
    count_chunks,
    section_starts,
    unfold_chunks,
)
from speech_endpoint.diarization.networks.embedding import FRAMES_PER_S, SpeakerEmbedder
from speech_endpoint.diarization.networks.segmentation import FavourOverlap, SharedFrontEndPyanNet
from speech_endpoint.diarization.reconstruction import (
    FrameGrid,
    add_votes,
    count_speakers,
    most_voted,
    turns_of,
)
from speech_endpoint.diarization.turns import drop_islands, fill_pauses, within
from speech_endpoint.diarization.units import map_in_units
from speech_endpoint.hardware import balanced_batch_size, half_precision
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Diarization, SpeakerTurn, Waveform
from speech_endpoint.units import Units
from speech_endpoint.voices.voiceprint import EmbeddingModel

HOP_S = 1.0
"""From the start of one chunk to the start of the next."""
# Batch of each worker thread on a CPU, where larger ones are slower.
CPU_BATCH = 16
DEVICE_BATCH = 256
# More non-overlapped frames of the embedding than this, and a local speaker is embedded from these
# alone.
MIN_CLEAN_FRAMES = 15


class BundledDiarization:
    """Who speaks when, by the networks of a bundle."""

    def __init__(self, bundle: Path, section_chunks: int = SECTION_CHUNKS) -> None:
        """Load a bundle for a CPU, in float32.

        Args:
            bundle: a directory whose `config.json` has the paths "segmentation" and "embedding",
                relative to it.
            section_chunks: how many chunks are processed together: whole blocks, multiples of 4.

        Raises:
            UnusableFile: a file of it cannot be used.
        """
        config = json.loads((bundle / "config.json").read_text())
        network = load_network(bundle / config["segmentation"])
        if not SharedFrontEndPyanNet.supports(network, round(HOP_S * SAMPLE_RATE_HZ)):
            raise UnusableFile(f"{config['segmentation']} is no network of segmentation-3.0's kind")
        self._device = torch.device("cpu")
        self._network = SharedFrontEndPyanNet(network)
        about = network.specifications
        self._n_local_speakers = len(about.classes)
        self._conversion = FavourOverlap(Powerset(len(about.classes), about.powerset_max_classes))
        self._field = network.receptive_field
        self._grid = FrameGrid(about.duration, HOP_S, self._field.step, self._field.duration)
        self._embedder = SpeakerEmbedder(bundle / config["embedding"])
        weights = bundle / config["embedding"]
        self.embedding_model = EmbeddingModel.of(weights, self._embedder.dimension)
        self._section_chunks = section_chunks

    def to(self, device: torch.device) -> BundledDiarization:
        """Move all networks to a device, whose 16-bit format most layers take."""
        self._device = device
        self._network.to(device, half_precision(device))
        self._conversion.to(device)
        self._embedder.to(device)
        return self

    def diarize(
        self, waveform: Waveform, limits: SpeakerLimits, fewer: int = 1
    ) -> Units[Diarization]:
        """As in `DiarizationPipeline`."""
        tracks, embeddings = yield from self._local_speakers(waveform, fewer)
        count = count_speakers(tracks, self._grid)
        if not count.any():
            return Diarization()
        yield
        clusters, centroids = cluster_columns(embeddings, tracks, self._n_local_speakers, limits)
        clusters[~tracks.any(axis=1)] = -2
        yield
        if limits.at_most is not None:
            count = np.minimum(count, limits.at_most)
        duration_s = len(waveform) / SAMPLE_RATE_HZ
        turns, exclusive = yield from self._turns(tracks, clusters, count)
        found = Diarization(
            fill_pauses(within(turns, duration_s)),
            drop_islands(within(exclusive, duration_s)),
            _embeddings(turns, centroids),
        )
        return with_confidence(found, embeddings, tracks, (self._grid.chunk_s, self._grid.hop_s))

    def _local_speakers(
        self, waveform: Waveform, fewer: int
    ) -> Units[tuple[np.ndarray, np.ndarray]]:
        """Find and embed the local speakers of all chunks, a section at a time.

        Returns:
            (chunks, frames, columns), 0 or 1, where `local_tracks` says what the columns are; and
            (chunks, columns, dimension), NaN where nobody speaks.
        """
        size = round(self._grid.chunk_s * SAMPLE_RATE_HZ)
        n_chunks = count_chunks(len(waveform), size, round(HOP_S * SAMPLE_RATE_HZ))
        tracks, embeddings = [], []
        for first in section_starts(n_chunks, self._section_chunks):
            count = min(self._section_chunks, n_chunks - first)
            active = yield from self._segment(waveform, first, count, fewer)
            of_section = yield from self._embed(waveform, first, active, fewer)
            tracks.append(of_section[0])
            embeddings.append(of_section[1])
        return np.concatenate(tracks), np.concatenate(embeddings)

    def _segment(self, waveform: Waveform, first: int, count: int, fewer: int) -> Units[np.ndarray]:
        """(chunks, frames, speakers), 0 or 1: who speaks in each of `count` chunks."""
        size, hop = (round(s * SAMPLE_RATE_HZ) for s in (self._grid.chunk_s, self._grid.hop_s))
        section = torch.from_numpy(waveform)[first * hop : (first + count - 1) * hop + size]
        chunks = unfold_chunks(section[None], size, hop, count)
        is_cpu = self._device.type == "cpu"
        balanced = balanced_batch_size(count, CPU_BATCH // fewer)
        batches = chunks.split(balanced if is_cpu else DEVICE_BATCH // fewer)

        def segment(batch: Tensor) -> np.ndarray:
            active: np.ndarray = self._conversion(self._network(batch)).byte().cpu().numpy()
            return active

        return np.concatenate((yield from map_in_units(segment, batches, self._device)))

    def _embed(
        self, waveform: Waveform, first: int, active: np.ndarray, fewer: int
    ) -> Units[tuple[np.ndarray, np.ndarray]]:
        """Split the local speakers of a section where their embeddings change, and embed them.

        Args:
            waveform: (samples,), the recording.
            first: the number of the section's first chunk.
            active: (chunks, frames, speakers), 0 or 1.
            fewer: batches are of so many times fewer blocks than otherwise.

        Returns:
            (chunks, frames, columns), 0 or 1, and (chunks, columns, dimension).
        """
        hop, size = (round(s * FRAMES_PER_S) for s in (self._grid.hop_s, self._grid.chunk_s))
        count = (len(active) - 1) * hop + size
        features = yield from self._embedder.frame_features(waveform, first * hop, count, fewer)
        offset = features.mean(dim=0, dtype=torch.float32)
        embed = partial(self._embedder.embed_statistics, offset)
        masks = self._at_embedding_rate(non_overlapped(active))
        changes = yield from detect_changes(features, offset, masks, hop, FRAMES_PER_S, embed)
        split = split_at_changes(active, self._frame_times(active.shape[1]), changes)
        tracks = join_subtracks(split, axis=2)
        clean = clean_segmentations(tracks, MIN_CLEAN_FRAMES / FRAMES_PER_S / self._grid.frame_s)
        masks = self._at_embedding_rate(clean)
        yield
        embeddings = yield from self._embedder.pool(features, offset, masks, hop)
        return tracks, embeddings

    def _turns(
        self, tracks: np.ndarray, clusters: np.ndarray, count: np.ndarray
    ) -> Units[tuple[list[SpeakerTurn], list[SpeakerTurn]]]:
        """Let the chunks vote.

        Args:
            tracks: (chunks, frames, columns), 0 or 1.
            clusters: (chunks, columns), the speaker of each column; negative for nobody.
            count: (frames of the recording,), how many speakers are active.

        Returns:
            The turns of all speakers, and those of whoever has the most votes at any time.
        """
        # As in pyannote: where more speak at once than there are clusters, an unknown one is added.
        n_speakers = max(clusters.max() + 1, count.max())
        votes = np.zeros((len(count), n_speakers), np.float32)
        for first in range(0, len(tracks), self._section_chunks):
            chunks = slice(first, first + self._section_chunks)
            add_votes(votes, tracks[chunks], clusters[chunks], first, self._grid)
            yield
        times = self._grid.times(len(count))
        turns, exclusive = (
            [
                turn
                for number, of_speaker in enumerate(active.T)
                for turn in turns_of(speaker_name(number), of_speaker, times)
            ]
            for active in most_voted(votes, count)
        )
        return turns, exclusive

    def _frame_times(self, n_frames: int) -> np.ndarray:
        """(n_frames,), the centres of the segmentation's frames, seconds into their chunk."""
        field = self._field
        return field.start + field.duration / 2 + np.arange(n_frames) * field.step

    def _at_embedding_rate(self, masks: np.ndarray) -> np.ndarray:
        """(chunks, segmentation frames, speakers) -> (chunks, embedding frames, speakers)."""
        centres = (np.arange(round(self._grid.chunk_s * FRAMES_PER_S)) + 0.5) / FRAMES_PER_S
        return resample(masks, self._frame_times(masks.shape[1]), centres)


def speaker_name(number: int) -> str:
    """pyannote's name of a speaker."""
    return f"SPEAKER_{number:02d}"


def _embeddings(turns: list[SpeakerTurn], centroids: np.ndarray) -> dict[str, np.ndarray]:
    """The embedding of each speaker who has a turn; none of those who are counted only."""
    speakers = {turn.speaker for turn in turns}
    return {
        speaker_name(number): centroid.astype(np.float32)
        for number, centroid in enumerate(centroids)
        if speaker_name(number) in speakers and np.isfinite(centroid).all() and centroid.any()
    }
