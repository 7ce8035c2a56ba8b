"""Who spoke when, by pyannote.audio. Times are seconds; waveforms are float32, (samples,), mono, 16 kHz."""

from __future__ import annotations

import itertools
import json
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from speech_endpoint.config import ModelSettings, resolve_model
from speech_endpoint.hardware import pick_device
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Diarization, SpeakerTurn

logger = logging.getLogger(__name__)

# Shorter recordings hold nobody's turn: less than a few frames of the segmentation.
MIN_DURATION_S = 0.1
BATCH_SIZE = 32
BUNDLE_TYPE = "local-speaker-diarization"


class Diarizer:
    """A loaded diarization pipeline: waveform in, speaker turns out."""

    def __init__(self, model: str, *, token: str | None, device: str) -> None:
        """Load `model`: a Hub name, the directory of a pyannote 4 pipeline, or one that build_models.py wrote.

        Args:
            token: for gated models; appears in no message.
            device: auto, cpu, cuda, cuda:0, …

        Raises:
            RuntimeError: the model cannot be loaded.
        """
        # pyannote reports usage to its makers unless told otherwise before the import.
        os.environ.setdefault("PYANNOTE_METRICS_ENABLED", "0")
        self._lock = threading.Lock()
        self._pipeline = (
            _load_bundle(Path(model)) if _is_bundle(Path(model)) else _load_pyannote(model, token)
        )
        self._pipeline.to(pick_device(device))

    @classmethod
    def from_settings(cls, settings: ModelSettings, repository: str) -> Diarizer | None:
        """The diarizer that the environment names, or None."""
        if settings.diarization_model is None:
            return None
        return cls(
            resolve_model(settings.diarization_model, repository),
            token=settings.token,
            device=settings.device,
        )

    def __call__(
        self,
        waveform: np.ndarray,
        *,
        num_speakers: int | None = None,
        min_speakers: int | None = None,
        max_speakers: int | None = None,
    ) -> Diarization:
        """Who speaks when in `waveform`; no turns where nobody does.

        Speakers are SPEAKER_00, SPEAKER_01, … in the order in which they are first heard.
        """
        if waveform.size < MIN_DURATION_S * SAMPLE_RATE_HZ:
            return Diarization((), ())
        samples = np.ascontiguousarray(waveform, dtype=np.float32)
        file = {"waveform": torch.from_numpy(samples)[None], "sample_rate": SAMPLE_RATE_HZ}
        counts = {
            "num_speakers": num_speakers,
            "min_speakers": min_speakers,
            "max_speakers": max_speakers,
        }
        with self._lock, _kept_torch_settings():
            output = self._pipeline(
                file, **{name: count for name, count in counts.items() if count is not None}
            )
        return to_diarization(output, len(samples) / SAMPLE_RATE_HZ)


def to_diarization(output: Any, duration: float) -> Diarization:
    """pyannote's output, a DiarizeOutput or a bare Annotation, as turns within 0 to `duration`."""
    turns = _turns(getattr(output, "speaker_diarization", output), duration)
    exclusive = getattr(output, "exclusive_speaker_diarization", None)
    exclusive_turns = make_exclusive(turns) if exclusive is None else _turns(exclusive, duration)
    names = {
        speaker: f"SPEAKER_{n:02d}"
        for n, speaker in enumerate(dict.fromkeys(turn.speaker for turn in turns))
    }
    for turn in exclusive_turns:
        names.setdefault(turn.speaker, f"SPEAKER_{len(names):02d}")
    return Diarization(_renamed(turns, names), _renamed(exclusive_turns, names))


def make_exclusive(turns: list[SpeakerTurn]) -> list[SpeakerTurn]:
    """At most one speaker at any time: where turns overlap, whoever began last has the floor."""
    borders = sorted({border for turn in turns for border in (turn.start, turn.end)})
    waiting = sorted(turns, key=lambda turn: turn.start, reverse=True)
    talking: list[SpeakerTurn] = []
    exclusive: list[SpeakerTurn] = []
    for start, end in itertools.pairwise(borders):
        while waiting and waiting[-1].start <= start:
            talking.append(waiting.pop())
        talking = [turn for turn in talking if turn.end > start]
        if not talking:
            continue
        speaker = talking[-1].speaker
        if exclusive and exclusive[-1].speaker == speaker and exclusive[-1].end == start:
            start = exclusive.pop().start
        exclusive.append(SpeakerTurn(speaker, start, end))
    return exclusive


def _turns(annotation: Any, duration: float) -> list[SpeakerTurn]:
    turns = [
        SpeakerTurn(str(speaker), max(0.0, float(segment.start)), min(duration, float(segment.end)))
        for segment, _, speaker in annotation.itertracks(yield_label=True)
    ]
    return sorted(
        (turn for turn in turns if turn.start < turn.end), key=lambda turn: (turn.start, turn.end)
    )


def _renamed(turns: list[SpeakerTurn], names: Mapping[str, str]) -> tuple[SpeakerTurn, ...]:
    return tuple(SpeakerTurn(names[turn.speaker], turn.start, turn.end) for turn in turns)


@contextmanager
def _kept_torch_settings() -> Iterator[None]:
    """pyannote turns TF32 off for the whole process at every call: put it back."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def _is_bundle(directory: Path) -> bool:
    config = directory / "config.json"
    return config.is_file() and json.loads(config.read_text()).get("type") == BUNDLE_TYPE


def _load_bundle(directory: Path) -> Any:
    from speech_endpoint.diarization.pipeline import LocalSpeakerDiarization

    return LocalSpeakerDiarization(directory)


def _load_pyannote(model: str, token: str | None) -> Any:
    from pyannote.audio import Pipeline

    from speech_endpoint.diarization.pipeline import WindowedSpeakerDiarization

    name = Path(model).name if Path(model).is_dir() else model
    try:
        pipeline = Pipeline.from_pretrained(model, token=token)
    except Exception as error:
        # Not its text: it may quote a URL or a header.
        raise RuntimeError(
            f"DIARIZATION_MODEL: {name!r} could not be loaded ({type(error).__name__})"
        ) from None
    if pipeline is None:
        raise RuntimeError(
            f"DIARIZATION_MODEL: {name!r} could not be downloaded; accept its conditions on huggingface.co and set"
            f" HF_TOKEN to a token that may read it (HF_TOKEN is {'set' if token else 'not set'})"
        )
    for size in ("segmentation_batch_size", "embedding_batch_size"):
        if getattr(pipeline, size, BATCH_SIZE) == 1:
            setattr(pipeline, size, BATCH_SIZE)
    return WindowedSpeakerDiarization.from_pipeline(pipeline)
