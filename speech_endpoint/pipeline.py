"""A request from start to end: decode, transcribe, diarize, attribute.

Windows of speech are decoded together, each word gets its speaker, and what comes out is who said
what, when.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager

from speech_endpoint.config import ModelSettings
from speech_endpoint.diarization.diarizer import Diarizer
from speech_endpoint.errors import OutOfMemory, first_warnings
from speech_endpoint.memory import is_out_of_memory
from speech_endpoint.reception import Reception, Request
from speech_endpoint.recognition import (
    Recognised,
)
from speech_endpoint.side_thread import SideThread
from speech_endpoint.transcript import Segment, Transcript
from speech_endpoint.transcription.transcriber import Transcriber
from speech_endpoint.units import Units, finish
from speech_endpoint.whisper.batching.sequence import DecodingStatistics

logger = logging.getLogger(__name__)


class SpeechPipeline(Reception):
    """Loads the models that the settings name and serves requests, one at a time."""

    transcriber: Transcriber
    diarizer: Diarizer | None

    def __init__(self, settings: ModelSettings, repository: str = ".") -> None:
        """
        Args:
            settings: which models, on what, and limits.
            repository: the directory that relative model directories lie in.

        Raises:
            ModelUnavailable: a model cannot be loaded.
        """
        started = time.perf_counter()
        super().__init__(
            settings,
            Transcriber(settings, repository),
            Diarizer.from_settings(settings, repository),
        )
        backend = self.transcriber.model.backend
        self.side_thread = (
            SideThread(backend.device) if self.diarizer and backend.is_asynchronous else None
        )
        """Where speakers are told apart while words are written; None: after them."""
        logger.info(
            "ready on %s after %.1f s: %s, assistant %s, diarization %s",
            self.transcriber.model.backend.device,
            time.perf_counter() - started,
            settings.asr_model,
            settings.assistant_model,
            settings.diarization_model,
        )

    def run(self, request: Request) -> Transcript:
        """Who said what, when.

        Raises:
            InvalidRequest: what the caller did wrong.
            OutOfMemory: the machine has not the memory for this request.
        """
        return finish(self._serve(request, early=False))

    def stream(self, request: Request) -> Generator[Segment, None, Transcript]:
        """As `run`; meanwhile each segment leaves when its words are final, in order of time.

        Segments bear no speaker yet: who speaks is known at the end. Where the channels are the
        speakers, segments leave with them, at the end.

        Returns:
            A generator of segments, which returns the transcript.
        """
        return self._serve(request, early=True)

    def _serve(self, request: Request, *, early: bool) -> Generator[Segment, None, Transcript]:
        self.check(request)
        try:
            return (yield from self._recognise(request, early=early))
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, OutOfMemory) or not is_out_of_memory(error):
                raise
            raise OutOfMemory(
                "out of memory; send a shorter recording, or use a machine with more memory"
            ) from error
        finally:
            self.hand_back_memory()

    def _recognise(self, request: Request, *, early: bool) -> Generator[Segment, None, Transcript]:
        stopwatch = Stopwatch()
        audio = self.decode(request)
        stopwatch.lap("decode")
        recognition = self.recognition(audio, request)
        finish(recognition.enrol())
        with self._begun(recognition.diarize()) as diarization:
            transcriptions = []
            for waveform in recognition.waveforms:
                text = self.transcriber.stream(waveform, request.config, early=early)
                can_leave = recognition.is_final_early
                transcriptions.append((yield from text) if can_leave else finish(text))
            stopwatch.lap("asr")
            if any(each.segments for each in transcriptions):
                diarization()
        recognised = recognition.conclude(transcriptions)
        stopwatch.lap("diarization")
        if not recognition.is_final_early:
            yield from recognised.attribution.segments
        warnings = [*request.warnings, *audio.warnings]
        return to_transcript(recognised, warnings, stopwatch.laps_s, stopwatch.total_s)

    @contextmanager
    def _begun(self, units: Units[None]) -> Iterator[Callable[[], None]]:
        """What does the rest of some work, which is given up when nobody asks for it."""
        if self.side_thread is None:
            yield lambda: finish(units)
        else:
            future = self.side_thread.start(units)
            try:
                yield future.result
            finally:
                future.cancel()


class Stopwatch:
    """Names the time that each stage of a request takes, seconds."""

    def __init__(self) -> None:
        self.started = self._last = time.perf_counter()
        self.laps_s: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """Give the time since the last lap a name."""
        now = time.perf_counter()
        self.laps_s[name], self._last = now - self._last, now

    @property
    def total_s(self) -> float:
        return time.perf_counter() - self.started


def to_transcript(
    recognised: Recognised, warnings: Sequence[str], laps_s: Mapping[str, float], total_s: float
) -> Transcript:
    """A request's result.

    Args:
        recognised: what its audio holds.
        warnings: about request and audio.
        laps_s: what its stages took, by name.
        total_s: what all took.
    """
    transcriptions = recognised.transcriptions
    longest = max(
        transcriptions, key=lambda each: sum(len(s.words) for s in each.segments), default=None
    )
    all_warnings = list(warnings)
    for transcription in transcriptions:
        all_warnings += transcription.warnings
    all_warnings += recognised.warnings
    statistics = [each.statistics for each in transcriptions]
    return Transcript(
        segments=recognised.attribution.segments,
        turns=recognised.attribution.turns,
        speaker_turns=recognised.attribution.speaker_turns,
        language=longest.language if longest else None,
        duration_s=recognised.duration_s,
        warnings=first_warnings(all_warnings),
        timings_s={
            **laps_s,
            "total": total_s,
            "voice_activity": sum(each.vad_s for each in transcriptions),
            "encoder": sum(each.encoder_s for each in statistics),
        },
        stats=_stats(statistics),
        known_speakers=recognised.known_speakers,
        enrolled=recognised.enrolled,
    )


def _stats(statistics: Sequence[DecodingStatistics]) -> dict[str, float]:
    """Counts and ratios of the decoding, over all channels."""
    steps, tokens, fallbacks, row_steps, proposed, accepted = (
        sum(getattr(each, name) for each in statistics)
        for name in ("steps", "tokens", "fallbacks", "row_steps", "proposed", "accepted")
    )
    stats: dict[str, float] = {"steps": steps, "tokens": tokens, "fallbacks": fallbacks}
    if proposed:
        stats["acceptance_rate"] = round(accepted / proposed, 3)
        stats["tokens_per_step"] = round(tokens / max(1, row_steps), 2)
    return stats
