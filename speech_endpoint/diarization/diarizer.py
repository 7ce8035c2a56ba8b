"""Load a diarization pipeline, run it, and turn pyannote's output into the project's types."""

from __future__ import annotations

import inspect
import json
import logging
import os
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from speech_endpoint.config import ModelSettings, resolve_model
from speech_endpoint.diarization.confidence import LocalSpeakers
from speech_endpoint.diarization.turns import drop_islands, fill_pauses, make_exclusive
from speech_endpoint.environment import (
    provide_home,
    provide_temporary_directory,
    refuse_telemetry,
)
from speech_endpoint.errors import ModelUnavailable
from speech_endpoint.hardware import pick_device, release_memory
from speech_endpoint.hub import display_name
from speech_endpoint.memory import is_out_of_memory
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Diarization, SpeakerTurn, Waveform

if TYPE_CHECKING:
    from pyannote.audio import Pipeline
    from pyannote.audio.pipelines.speaker_diarization import DiarizeOutput
    from pyannote.core import Annotation

logger = logging.getLogger(__name__)

# Shorter recordings, a few frames of the segmentation, have no turns.
MIN_DURATION_S = 0.1
# For pipelines that come with the batch size 1.
BATCH_SIZE = 32
BATCH_SIZES = ("segmentation_batch_size", "embedding_batch_size")
"""The attributes of a pipeline that hold them."""
# By how much they are divided where memory ran out.
FEWER = 4
BUNDLE_TYPE = "local-speaker-diarization"
"""`type` in the config.json of a bundle that `tools/build_models` wrote."""


class Diarizer:
    """A loaded diarization pipeline: waveform in, speaker turns out."""

    def __init__(
        self, model: str, *, token: str | None, device: str, telemetry: bool = False
    ) -> None:
        """Load a pipeline.

        Args:
            model: a Hub name, or a directory: of a pyannote 4 pipeline, or of a bundle that
                `tools/build_models` wrote.
            token: for gated models; appears in no message.
            device: auto, cpu, cuda, cuda:0, …
            telemetry: whether pyannote may report its usage to its makers. Sets
                PYANNOTE_METRICS_ENABLED for the whole process, whatever it was before;
                `from_settings` takes what it was.

        Raises:
            ModelUnavailable: the model cannot be loaded; the log has the traceback.
        """
        # Read when pyannote is imported, and at every call; without it, pyannote reports.
        os.environ["PYANNOTE_METRICS_ENABLED"] = "1" if telemetry else "0"
        self._lock = threading.Lock()
        self._pipeline = _load(model, token)
        self._device = pick_device(device)
        self._pipeline.to(self._device)

    @classmethod
    def from_settings(cls, settings: ModelSettings, repository: str) -> Diarizer | None:
        """Load the pipeline that the settings name; None where they name none."""
        if settings.diarization_model is None:
            return None
        return cls(
            resolve_model(settings.diarization_model, repository),
            token=settings.token,
            device=settings.device,
            telemetry=settings.pyannote_metrics_enabled,
        )

    def __call__(
        self,
        waveform: Waveform,
        *,
        num_speakers: int | None = None,
        min_speakers: int | None = None,
        max_speakers: int | None = None,
    ) -> Diarization:
        """Find who speaks when; calls from several threads run one after another.

        Args:
            waveform: (samples,), mono, 16 kHz.
            num_speakers: how many speakers there are, if known.
            min_speakers: at least so many.
            max_speakers: at most so many.

        Returns:
            Turns and embeddings under the pipeline's own labels; none where nobody speaks.
        """
        if waveform.size < MIN_DURATION_S * SAMPLE_RATE_HZ:
            return Diarization()
        samples = np.ascontiguousarray(waveform, dtype=np.float32)
        limits = {
            "num_speakers": num_speakers,
            "min_speakers": min_speakers,
            "max_speakers": max_speakers,
        }
        given: dict[str, Any] = {name: limit for name, limit in limits.items() if limit is not None}
        local_speakers = LocalSpeakers()
        # A pipeline of another maker may know no hook.
        has_hook = "hook" in inspect.signature(self._pipeline.apply).parameters
        options = given | ({"hook": local_speakers} if has_hook else {})
        with self._lock, preserve_tf32(), warnings.catch_warnings():
            # Of fewer speakers than are asked for: the answer says so.
            warnings.filterwarnings("ignore", message=r"\s*The detected number of speakers")
            output = self._run(samples, options)
        diarization = to_diarization(output, len(samples) / SAMPLE_RATE_HZ)
        return local_speakers.with_confidence(diarization)

    def _run(self, samples: Waveform, options: dict[str, Any]) -> DiarizeOutput | Annotation:
        """Run the pipeline; where memory runs out, once more with smaller batches."""
        waveform = torch.from_numpy(samples)[None]
        try:
            return self._pipeline({"waveform": waveform, "sample_rate": SAMPLE_RATE_HZ}, **options)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            logger.warning("diarization is tried again with smaller batches: %s", error)
        # Not before the error is gone, whose traceback refers to the tensors of the first try.
        release_memory(self._device)
        with smaller_batches(self._pipeline):
            return self._pipeline({"waveform": waveform, "sample_rate": SAMPLE_RATE_HZ}, **options)


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
    turns = [
        SpeakerTurn(str(label), max(0.0, float(segment.start)), min(duration_s, float(segment.end)))
        for segment, _, label in annotation.itertracks(yield_label=True)
    ]
    not_empty = (turn for turn in turns if turn.start < turn.end)
    return tuple(sorted(not_empty, key=lambda turn: (turn.start, turn.end)))


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
def smaller_batches(pipeline: Pipeline) -> Iterator[None]:
    """Let a pipeline take fewer chunks at once."""
    before = {name: getattr(pipeline, name) for name in BATCH_SIZES if hasattr(pipeline, name)}
    try:
        for name, size in before.items():
            setattr(pipeline, name, max(1, size // FEWER))
        yield
    finally:
        for name, size in before.items():
            setattr(pipeline, name, size)


@contextmanager
def preserve_tf32() -> Iterator[None]:
    """Undo what pyannote does at every call on a GPU: turn TF32 off for the whole process."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def _load(model: str, token: str | None) -> Pipeline:
    """Load a bundle or a pyannote pipeline.

    Raises:
        ModelUnavailable: with the file and the remedy where they are known; otherwise without the
            cause, which may quote a URL or a header: the log has it, less the token.
    """
    provide_temporary_directory()
    provide_home()
    refuse_telemetry()
    with warnings.catch_warnings():
        # pyannote's advice on reading files, which it never does here: it gets waveforms.
        warnings.filterwarnings("ignore", message=r"\s*torchcodec is not installed correctly")
        from speech_endpoint.diarization.loading import UnusableFile

    try:
        return _load_bundle(Path(model)) if _is_bundle(Path(model)) else _load_hub(model, token)
    except ModelUnavailable:
        raise
    except UnusableFile as error:
        raise ModelUnavailable(f"DIARIZATION_MODEL {display_name(model)!r}: {error}") from None
    except Exception as error:
        details = traceback.format_exc()
        if token:
            details = details.replace(token, "<HF_TOKEN>")
        logger.error("DIARIZATION_MODEL: %r could not be loaded\n%s", display_name(model), details)
        raise ModelUnavailable(
            f"DIARIZATION_MODEL {display_name(model)!r} could not be loaded"
            f" ({type(error).__name__}); see the log"
        ) from None


def _is_bundle(directory: Path) -> bool:
    try:
        config = json.loads((directory / "config.json").read_text())
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and config.get("type") == BUNDLE_TYPE


def _load_bundle(directory: Path) -> Pipeline:
    from speech_endpoint.diarization.bundle import BundledSpeakerDiarization

    return BundledSpeakerDiarization(directory)


def _load_hub(model: str, token: str | None) -> Pipeline:
    """Load a pyannote pipeline, by its fast form where there is one."""
    from speech_endpoint.diarization.loading import load_pipeline
    from speech_endpoint.diarization.pipeline import FastSpeakerDiarization

    pipeline = load_pipeline(model, token)
    for size in BATCH_SIZES:
        if getattr(pipeline, size, BATCH_SIZE) == 1:
            setattr(pipeline, size, BATCH_SIZE)
    return FastSpeakerDiarization.from_pipeline(pipeline)
