"""Load a diarization pipeline, and run it in units."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
import traceback
import warnings
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from speech_endpoint.config import ModelSettings, resolve_model
from speech_endpoint.diarization.limits import SpeakerLimits
from speech_endpoint.environment import (
    provide_home,
    provide_temporary_directory,
    refuse_telemetry,
)
from speech_endpoint.errors import ModelUnavailable
from speech_endpoint.hardware import pick_device, prepare_device, release_memory
from speech_endpoint.hub import display_name
from speech_endpoint.memory import is_out_of_memory
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Diarization, Waveform
from speech_endpoint.units import Units, finish
from speech_endpoint.voices.voiceprint import EmbeddingModel

logger = logging.getLogger(__name__)

# Shorter recordings, a few frames of the segmentation, have no turns.
MIN_DURATION_S = 0.1
# By how much batches are smaller where memory ran out.
FEWER = 4
BUNDLE_TYPE = "local-speaker-diarization"
"""`type` in the config.json of a bundle that `tools/build_models` wrote."""


class DiarizationPipeline(Protocol):
    """Networks, and what is made of them."""

    @property
    def embedding_model(self) -> EmbeddingModel | None:
        """Of the speakers' embeddings, where they can be compared over recordings."""

    def to(self, device: torch.device) -> object:
        """Move all networks to a device."""

    def diarize(
        self, waveform: Waveform, limits: SpeakerLimits, fewer: int = 1
    ) -> Units[Diarization]:
        """Find who speaks when.

        Args:
            waveform: (samples,), mono, 16 kHz.
            limits: of the number of speakers.
            fewer: batches are of so many times fewer chunks than otherwise.
        """


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
        # pyannote would turn TF32 off at every call, with a warning, beside whatever else computes.
        prepare_device(self._device)
        self._pipeline.to(self._device)

    @property
    def embedding_model(self) -> EmbeddingModel | None:
        """Of the speakers' embeddings, where they can be compared over recordings."""
        return self._pipeline.embedding_model

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
        """Find who speaks when; calls from several threads take turns.

        Args:
            waveform: (samples,), mono, 16 kHz.
            num_speakers: how many speakers there are, if known.
            min_speakers: at least so many.
            max_speakers: at most so many.

        Returns:
            Turns and embeddings under the pipeline's own labels; none where nobody speaks.
        """
        return finish(
            self.stream(
                waveform,
                num_speakers=num_speakers,
                min_speakers=min_speakers,
                max_speakers=max_speakers,
            )
        )

    def stream(
        self,
        waveform: Waveform,
        *,
        num_speakers: int | None = None,
        min_speakers: int | None = None,
        max_speakers: int | None = None,
    ) -> Units[Diarization]:
        """Find who speaks when, as `__call__` does, in units of at most about half a second.

        Several recordings may be under way, and any may be closed, which frees what it holds. What
        is set for the whole process is set within a unit only. A pyannote pipeline
        that is no bundle of `tools/build_models` is one unit.
        """
        if waveform.size < MIN_DURATION_S * SAMPLE_RATE_HZ:
            return Diarization()
        samples = np.ascontiguousarray(waveform, dtype=np.float32)
        limits = SpeakerLimits.of(num_speakers, min_speakers, max_speakers)
        with contextlib.closing(self._units(samples, limits)) as units:
            while True:
                with self._lock, warnings.catch_warnings():
                    # Of fewer speakers than are asked for: the answer says so.
                    warnings.filterwarnings("ignore", message=r"\s*The detected number of speakers")
                    try:
                        next(units)
                    except StopIteration as end:
                        diarization: Diarization = end.value
                        return diarization
                yield

    def _units(self, samples: Waveform, limits: SpeakerLimits) -> Units[Diarization]:
        """Run the pipeline; where memory runs out, once more with smaller batches."""
        try:
            return (yield from self._pipeline.diarize(samples, limits, fewer=1))
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            logger.warning("diarization is tried again with smaller batches: %s", error)
        # Not before the error is gone, whose traceback refers to the tensors of the first try.
        release_memory(self._device)
        return (yield from self._pipeline.diarize(samples, limits, fewer=FEWER))


def _load(model: str, token: str | None) -> DiarizationPipeline:
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


def _load_bundle(directory: Path) -> DiarizationPipeline:
    from speech_endpoint.diarization.networks.bundle import BundledDiarization

    return BundledDiarization(directory)


def _load_hub(model: str, token: str | None) -> DiarizationPipeline:
    from speech_endpoint.diarization.loading import load_pipeline
    from speech_endpoint.diarization.whole import WholeDiarization

    return WholeDiarization(load_pipeline(model, token))
