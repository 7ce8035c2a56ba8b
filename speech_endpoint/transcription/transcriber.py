"""Speech to text: a waveform in, segments of timed words out, as soon as they are final."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np

from speech_endpoint.audio.vad import SileroVAD
from speech_endpoint.config import InferenceConfig, ModelSettings, resolve_model
from speech_endpoint.hardware import describe_device
from speech_endpoint.transcript import Segment, Waveform
from speech_endpoint.transcription.opening import Opener
from speech_endpoint.transcription.recording import RecordingDecoder
from speech_endpoint.units import finish
from speech_endpoint.whisper.backends import choose_backend
from speech_endpoint.whisper.batching.draft_length import DEFAULT_DRAFT_POLICY, DraftPolicy
from speech_endpoint.whisper.batching.engine import Engine
from speech_endpoint.whisper.batching.sequence import DecodingStatistics
from speech_endpoint.whisper.batching.speculation import DraftModel
from speech_endpoint.whisper.checkpoint import load_checkpoint
from speech_endpoint.whisper.model.features import WINDOW_SAMPLES
from speech_endpoint.whisper.model.whisper import WhisperModel
from speech_endpoint.whisper.warm_up import warm_up

# Where segments are awaited, so many windows are decoded alone until a segment has left; the others
# then join. Of a recording of ten windows the first segment leaves after 27 % of the time that the
# whole takes otherwise, and the last 7 % later.
HEAD_START_WINDOWS = 2

# What a diarization pipeline takes of a GPU for its batches; it makes them smaller where that is
# not there.
DIARIZATION_BYTES = 4 * 2**30

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Transcription:
    """The text of one recording."""

    segments: tuple[Segment, ...]
    """In order of time; joined they are the text."""
    language: str | None
    """The language that is spoken longest, a code; None without speech."""
    warnings: tuple[str, ...]
    vad_s: float
    """Time that voice activity detection took, and cutting windows by it."""
    statistics: DecodingStatistics

    @classmethod
    def of(
        cls, recording: RecordingDecoder, segments: Sequence[Segment], vad_s: float
    ) -> Transcription:
        """Of a recording all of whose windows are decoded, and its segments."""
        return cls(
            segments=tuple(segments),
            language=recording.language,
            warnings=tuple(recording.warnings),
            vad_s=vad_s,
            statistics=recording.group.statistics,
        )


class Transcriber(Opener):
    """Whisper, and optionally a smaller one that drafts for it, on one device."""

    def __init__(
        self,
        settings: ModelSettings,
        repository: str,
        draft_policy: DraftPolicy = DEFAULT_DRAFT_POLICY,
    ) -> None:
        """Load the models.

        Args:
            settings: which models, on what.
            repository: the directory that relative model directories lie in.
            draft_policy: how to find out whether drafting pays.

        Raises:
            ModelUnavailable: a model cannot be loaded, or the assistant cannot draft for the other.
        """
        backend = choose_backend(
            settings.device,
            settings.dtype,
            settings.quantization,
            beside_bytes=DIARIZATION_BYTES if settings.diarization_model else 0,
        )
        logger.info(
            "Whisper runs on %s in %s", describe_device(backend.device), backend.number_formats
        )
        checkpoint = load_checkpoint(resolve_model(settings.asr_model, repository), settings.token)
        self.model = WhisperModel.from_checkpoint(checkpoint, backend)
        self.draft: DraftModel | None = None
        self.draft_policy = draft_policy
        if settings.assistant_model:
            name = resolve_model(settings.assistant_model, repository)
            assistant = load_checkpoint(name, settings.token, "ASSISTANT_MODEL")
            self.draft = DraftModel(assistant, checkpoint, self.model)
            logger.info(
                "the assistant %s",
                "shares the model's encoder"
                if self.draft.shares_encoder
                else f"has an encoder of its own, {self.draft.encoder_cost:.0%} of the model's",
            )
        self._kept_engine: Engine | None = None
        super().__init__(
            self.model.tokenizer,
            SileroVAD(backend.device),
            hold=backend.hold,
            has_draft=self.draft is not None,
        )
        if backend.warms_up:
            warm_up(self.model, self.draft)
            self.vad(np.zeros(WINDOW_SAMPLES, np.float32))

    def __call__(self, waveform: Waveform, config: InferenceConfig) -> Transcription:
        """Transcribe a waveform, (samples,), float32, 16 kHz.

        Raises:
            InvalidRequest: a parameter that this model cannot serve.
        """
        return finish(self.stream(waveform, config, early=False))

    def stream(
        self, waveform: Waveform, config: InferenceConfig, *, early: bool = True
    ) -> Generator[Segment, None, Transcription]:
        """Transcribe a waveform; each segment leaves as soon as it is final, in order of time.

        Args:
            waveform: (samples,), float32, 16 kHz.
            config: what is wanted.
            early: give the first windows a head start, for whoever waits for the first segments;
                the last segment then leaves a little later.

        Raises:
            InvalidRequest: a parameter that this model cannot serve.
        """
        started = time.perf_counter()
        recording = finish(self.open(waveform, config))
        vad_s = time.perf_counter() - started
        segments: list[Segment] = []
        for segment in self._decode(recording, config, early):
            segments.append(segment)
            yield segment
        return Transcription.of(recording, segments, vad_s)

    def _decode(
        self, recording: RecordingDecoder, config: InferenceConfig, early: bool
    ) -> Generator[Segment, None, None]:
        """Decode a recording's windows, in an engine of its own."""
        waiting = recording.requests()
        if not waiting:
            return
        engine = self._engine(config, len(waiting))
        n_first = HEAD_START_WINDOWS if early else len(waiting)
        for request in waiting[:n_first]:
            engine.add(request)
        waiting = waiting[n_first:]
        while engine.busy:
            results = engine.step()
            for result in results:
                for request in recording.on_result(result):
                    engine.add(request)
            final = recording.take_final() if results else []
            yield from final
            if final or not engine.busy:
                for request in waiting:
                    engine.add(request)
                waiting = []

    def _engine(self, config: InferenceConfig, n_windows: int) -> Engine:
        """An engine with nothing to do: a new one, or where steps are recorded the last one, which
        has recorded them; its slots stay allocated."""
        if not self.model.backend.records_steps:
            draft = self.draft if config.assisted else None
            n_slots = min(config.batch_size, n_windows)
            return Engine(self.model, n_slots, draft, self.draft_policy)
        kept, self._kept_engine = self._kept_engine, None
        if kept is None or kept.max_slots != config.batch_size or kept.busy:
            del kept
            kept = Engine(self.model, config.batch_size, self.draft, self.draft_policy)
        self._kept_engine = kept
        return kept
