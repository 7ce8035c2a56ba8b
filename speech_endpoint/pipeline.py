"""A request from start to end: decode, transcribe, diarize, attribute.

Windows of speech are decoded together, each word gets its speaker, and what comes out is who said
what, when.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from speech_endpoint.audio.decoding.file_decoder import DecodingOptions
from speech_endpoint.audio.decoding.sandbox import AudioDecoder, DecodedAudio
from speech_endpoint.audio.payload import payload_bytes
from speech_endpoint.config import InferenceConfig, ModelSettings
from speech_endpoint.diarization.diarizer import Diarizer
from speech_endpoint.errors import InvalidRequest, OutOfMemory, first_warnings
from speech_endpoint.memory import FreedMemory, is_out_of_memory
from speech_endpoint.parameters import warn_of_unknown
from speech_endpoint.recognition import (
    ChannelRecognition,
    MixRecognition,
    Recognised,
    Recognition,
)
from speech_endpoint.transcript import Segment, Transcript
from speech_endpoint.transcription.transcriber import Transcriber
from speech_endpoint.units import finish
from speech_endpoint.whisper.batching.sequence import DecodingStatistics

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """Audio, and what is wanted of it."""

    inputs: bytes | str
    """An audio file's bytes, or their base64 text."""
    config: InferenceConfig
    warnings: tuple[str, ...] = ()
    """About the parameters."""
    wants: Literal["text", "speakers", "language"] = "text"
    """Who spoke when, or the language of the first window of speech, are had without text from a
    service; `SpeechPipeline.run` transcribes anyway."""
    outline: bool = False
    """Whether `Transcript.peaks` are wanted."""

    @classmethod
    def from_host(cls, data: Any) -> Request:
        """A request as the host hands it over: {"inputs": …, "parameters": {…}}.

        Raises:
            InvalidRequest: no inputs, or parameters that are not allowed.
        """
        if not isinstance(data, dict) or data.get("inputs") is None:
            raise InvalidRequest(
                "inputs",
                "missing",
                'missing; send {"inputs": <base64 audio>, "parameters": {…}} or the audio\'s bytes',
            )
        config, warnings = InferenceConfig.from_parameters(data.get("parameters"))
        warnings += warn_of_unknown("request: unknown key", data, ("inputs", "parameters"))
        return cls(data["inputs"], config, tuple(warnings))


class SpeechPipeline:
    """Loads the models that the settings name and serves requests, one at a time."""

    def __init__(self, settings: ModelSettings, repository: str = ".") -> None:
        """
        Args:
            settings: which models, on what, and limits.
            repository: the directory that relative model directories lie in.

        Raises:
            ModelUnavailable: a model cannot be loaded.
        """
        started = time.perf_counter()
        self.settings = settings
        self.decoder = AudioDecoder()
        self.transcriber = Transcriber(settings, repository)
        self.diarizer = Diarizer.from_settings(settings, repository)
        self._freed_memory = FreedMemory()
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
        self.check(request.config)
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
        transcriptions = []
        for waveform in recognition.waveforms:
            text = self.transcriber.stream(waveform, request.config, early=early)
            can_leave = recognition.is_final_early
            transcriptions.append((yield from text) if can_leave else finish(text))
        stopwatch.lap("asr")
        if any(each.segments for each in transcriptions):
            finish(recognition.diarize())
        recognised = recognition.conclude(transcriptions)
        stopwatch.lap("diarization")
        if not recognition.is_final_early:
            yield from recognised.attribution.segments
        warnings = [*request.warnings, *audio.warnings]
        return to_transcript(recognised, warnings, stopwatch.laps_s, stopwatch.total_s)

    def decode(self, request: Request) -> DecodedAudio:
        """The request's audio; may be called from any thread.

        Raises:
            InvalidRequest: it cannot be decoded, or is larger or longer than the limits.
        """
        config = request.config
        return self.decoder(
            payload_bytes(request.inputs, self.settings.max_payload_mb * 2**20),
            DecodingOptions(
                max_audio_s=self.settings.max_audio_s,
                pcm_rate_hz=config.sampling_rate,
                apart=config.channels == "speakers",
                audio_track=config.audio_track,
            ),
        )

    def recognition(self, audio: DecodedAudio, request: Request) -> Recognition:
        """How words and speakers of this audio are found."""
        if request.config.channels == "speakers":
            return ChannelRecognition(audio)
        without_words = request.wants == "speakers"
        return MixRecognition(audio, request.config, self.diarizer, without_words=without_words)

    def hand_back_memory(self) -> None:
        """Give the system what a finished request has left."""
        self._freed_memory.hand_back()

    def check(self, config: InferenceConfig) -> None:
        """Raise InvalidRequest for what the models of this endpoint cannot do."""
        if config.diarize and self.diarizer is None:
            raise InvalidRequest(
                "parameters.diarize",
                "unavailable",
                "true needs a diarization model; set DIARIZATION_MODEL on the endpoint",
            )
        self.transcriber.check(config)


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
    longest = max(transcriptions, key=lambda each: sum(len(s.words) for s in each.segments))
    all_warnings = list(warnings)
    for transcription in transcriptions:
        all_warnings += transcription.warnings
    all_warnings += recognised.warnings
    statistics = [each.statistics for each in transcriptions]
    return Transcript(
        segments=recognised.attribution.segments,
        turns=recognised.attribution.turns,
        speaker_turns=recognised.attribution.speaker_turns,
        language=longest.language,
        duration_s=recognised.duration_s,
        warnings=first_warnings(all_warnings),
        timings_s={
            **laps_s,
            "total": total_s,
            "voice_activity": sum(each.vad_s for each in transcriptions),
            "encoder": sum(each.encoder_s for each in statistics),
        },
        stats=_stats(statistics),
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
