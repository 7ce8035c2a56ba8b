"""A pipeline of pyannote, run as a whole: its output becomes the project's types."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pyannote.audio.pipelines import SpeakerDiarization
from pyannote.audio.pipelines.speaker_diarization import DiarizeOutput
from pyannote.core import Annotation

from speech_endpoint.diarization.confidence import LocalSpeakers
from speech_endpoint.diarization.limits import SpeakerLimits
from speech_endpoint.diarization.pipeline import FastSpeakerDiarization
from speech_endpoint.diarization.turns import drop_islands, fill_pauses, make_exclusive, within
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Diarization, SpeakerTurn, Waveform
from speech_endpoint.units import Units

# For pipelines that come with the batch size 1.
BATCH_SIZE = 32
BATCH_SIZES = ("segmentation_batch_size", "embedding_batch_size")
"""The attributes of a pipeline that hold them."""


class WholeDiarization:
    """Who speaks when, by a pipeline of pyannote, or its fast form where there is one."""

    embedding_model = None
    """What embeddings of other makers tell of known voices was not measured."""

    def __init__(self, pipeline: SpeakerDiarization) -> None:
        for size in BATCH_SIZES:
            if getattr(pipeline, size, BATCH_SIZE) == 1:
                setattr(pipeline, size, BATCH_SIZE)
        self._pipeline = FastSpeakerDiarization.from_pipeline(pipeline)
        # A pipeline of another maker may know no hook.
        self._has_hook = "hook" in inspect.signature(pipeline.apply).parameters

    def to(self, device: torch.device) -> WholeDiarization:
        """Move all networks to a device."""
        self._pipeline.to(device)
        return self

    def diarize(
        self, waveform: Waveform, limits: SpeakerLimits, fewer: int = 1
    ) -> Units[Diarization]:
        """As in `DiarizationPipeline`, all in one unit."""
        named = {
            "num_speakers": limits.exact,
            "min_speakers": limits.at_least,
            "max_speakers": limits.at_most,
        }
        options: dict[str, Any] = {name: limit for name, limit in named.items() if limit}
        local_speakers = LocalSpeakers()
        if self._has_hook:
            options["hook"] = local_speakers
        file = {"waveform": torch.from_numpy(waveform)[None], "sample_rate": SAMPLE_RATE_HZ}
        with smaller_batches(self._pipeline, fewer):
            output = self._pipeline(file, **options)
        yield
        found = to_diarization(output, len(waveform) / SAMPLE_RATE_HZ)
        return local_speakers.with_confidence(found)


def to_diarization(output: DiarizeOutput | Annotation, duration_s: float) -> Diarization:
    """Convert a pipeline's output, with turns cut to the recording and exclusive turns in any case.

    Turns go on over short pauses, and exclusive turns that are islands are left out: see `turns`.

    Args:
        output: pyannote's; a bare Annotation has neither exclusive turns nor embeddings.
        duration_s: of the recording.
    """
    annotation = getattr(output, "speaker_diarization", output)
    exclusive = getattr(output, "exclusive_speaker_diarization", None)
    turns = _turns(annotation, duration_s)
    return Diarization(
        fill_pauses(turns),
        drop_islands(make_exclusive(turns) if exclusive is None else _turns(exclusive, duration_s)),
        _embeddings(annotation.labels(), getattr(output, "speaker_embeddings", None)),
    )


def _turns(annotation: Annotation, duration_s: float) -> tuple[SpeakerTurn, ...]:
    """The turns of an annotation within 0 to `duration_s`, in order of start and end."""
    turns = (
        SpeakerTurn(str(label), float(segment.start), float(segment.end))
        for segment, _, label in annotation.itertracks(yield_label=True)
    )
    return within(turns, duration_s)


def _embeddings(
    labels: list[Any], centroids: np.ndarray | None
) -> dict[str, npt.NDArray[np.float32]]:
    """The embedding of each speaker that has one.

    Args:
        labels: the speakers, in the order of `centroids`.
        centroids: (speakers, dimension), if known; pyannote fills with zeros, or NaN, the rows of
            speakers whom it counted but could not embed. Of another number than the labels, as
            pipelines of other makers may return them, they cannot be told apart: none is kept.
    """
    if centroids is None or len(centroids) != len(labels):
        return {}
    return {
        str(label): centroid.astype(np.float32)
        for label, centroid in zip(labels, centroids, strict=True)
        if np.isfinite(centroid).all() and centroid.any()
    }


@contextmanager
def smaller_batches(pipeline: SpeakerDiarization, fewer: int) -> Iterator[None]:
    """Let a pipeline take so many times fewer chunks at once."""
    before = {name: getattr(pipeline, name) for name in BATCH_SIZES if hasattr(pipeline, name)}
    try:
        for name, size in before.items():
            setattr(pipeline, name, max(1, size // fewer))
        yield
    finally:
        for name, size in before.items():
            setattr(pipeline, name, size)
