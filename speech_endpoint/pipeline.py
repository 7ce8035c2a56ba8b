"""A request from start to end: decode, transcribe, diarize, attribute.

Windows of speech are decoded together, each word gets its speaker, and what comes out is who said
what, when.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from speech_endpoint.attribution import Attribution, attribute, attribute_channels
from speech_endpoint.audio.bleeding import distinct_channels, without_bleeding
from speech_endpoint.audio.decoding.file_decoder import DecodingOptions
from speech_endpoint.audio.decoding.sandbox import AudioDecoder, DecodedAudio
from speech_endpoint.audio.payload import payload_bytes
from speech_endpoint.config import InferenceConfig, ModelSettings
from speech_endpoint.crosstalk import without_repeats
from speech_endpoint.diarization.diarizer import Diarizer
from speech_endpoint.errors import InvalidRequest, OutOfMemory, first_warnings
from speech_endpoint.memory import FreedMemory, is_out_of_memory
from speech_endpoint.parameters import warn_of_unknown
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Diarization, Segment, Transcript, Waveform
from speech_endpoint.transcription.transcriber import Transcriber, Transcription, drain
from speech_endpoint.whisper.sequence import DecodingStatistics

logger = logging.getLogger(__name__)

WITHOUT_SPEAKERS = "diarization failed; the transcript has no speakers"
EQUAL_CHANNELS = (
    "channels hold the same sound, and count as one speaker; leave `channels` out to tell apart who"
    " speaks in it"
)


@dataclass(frozen=True)
class Request:
    """Audio, and what is wanted of it."""

    inputs: bytes | str
    """An audio file's bytes, or their base64 text."""
    config: InferenceConfig
    warnings: tuple[str, ...] = ()
    """About the parameters."""

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


@dataclass(frozen=True)
class Recognition:
    """What was recognised in a recording, by one of the two ways of doing it."""

    attribution: Attribution
    transcriptions: Sequence[Transcription]
    """One of the recording, or one of each channel."""
    duration_s: float
    warnings: tuple[str, ...] = ()
    """About the speakers."""


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
        return drain(self._serve(request, early=False))

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
            self._freed_memory.hand_back()

    def _recognise(self, request: Request, *, early: bool) -> Generator[Segment, None, Transcript]:
        stopwatch = Stopwatch()
        audio = self._decode(request)
        stopwatch.lap("decode")
        if request.config.channels == "speakers":
            recognition = yield from self._recognise_channels(audio, request.config, stopwatch)
        else:
            recognition = yield from self._recognise_mix(
                audio, request.config, stopwatch, early=early
            )
        return _transcript(recognition, [*request.warnings, *audio.warnings], stopwatch)

    def _decode(self, request: Request) -> DecodedAudio:
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

    def check(self, config: InferenceConfig) -> None:
        """Raise InvalidRequest for what the models of this endpoint cannot do."""
        if config.diarize and self.diarizer is None:
            raise InvalidRequest(
                "parameters.diarize",
                "unavailable",
                "true needs a diarization model; set DIARIZATION_MODEL on the endpoint",
            )
        self.transcriber.check(config)

    def _recognise_mix(
        self, audio: DecodedAudio, config: InferenceConfig, stopwatch: Stopwatch, *, early: bool
    ) -> Generator[Segment, None, Recognition]:
        """Transcribe the mix of all channels; a diarization model tells the speakers apart."""
        (waveform,) = audio.channels
        transcription = yield from self.transcriber.stream(waveform, config, early=early)
        stopwatch.lap("asr")
        attribution, warnings = self._attribute(waveform, transcription.segments, config)
        stopwatch.lap("diarization")
        duration_s = waveform.size / SAMPLE_RATE_HZ
        return Recognition(attribution, [transcription], duration_s, warnings)

    def _attribute(
        self, waveform: Waveform, segments: Sequence[Segment], config: InferenceConfig
    ) -> tuple[Attribution, tuple[str, ...]]:
        """Segments with their speakers, or as they are where none are wanted or nobody speaks, or
        where diarization fails, whatever the reason: the words are no worse for that. And warnings.
        """
        without_speakers = Attribution(tuple(segments), turns=(), speaker_turns=())
        if self.diarizer is None or config.diarize is False or not segments:
            return without_speakers, ()
        try:
            diarization = self.diarizer(
                waveform,
                num_speakers=config.num_speakers,
                min_speakers=config.min_speakers,
                max_speakers=config.max_speakers,
            )
            warnings = _warn_of_fewer(diarization, config)
            return attribute(segments, diarization), warnings
        except Exception:
            logger.exception(WITHOUT_SPEAKERS)
            return without_speakers, (WITHOUT_SPEAKERS,)

    def _recognise_channels(
        self, audio: DecodedAudio, config: InferenceConfig, stopwatch: Stopwatch
    ) -> Generator[Segment, None, Recognition]:
        """Transcribe each channel: what is said on one is said by one speaker.

        Equal channels are one, and what bleeds from one into another is transcribed once.
        """
        numbers = distinct_channels(list(audio.channels))
        channels = [audio.channels[number] for number in numbers]
        transcriptions = [
            _of_channel(number, self.transcriber(waveform, config))
            for number, waveform in zip(numbers, without_bleeding(channels), strict=True)
        ]
        stopwatch.lap("asr")
        said = without_repeats([each.segments for each in transcriptions], channels)
        attribution = attribute_channels(said)
        stopwatch.lap("diarization")
        yield from attribution.segments
        duration_s = audio.channels.shape[1] / SAMPLE_RATE_HZ
        warnings = (EQUAL_CHANNELS,) if len(numbers) < len(audio.channels) else ()
        return Recognition(attribution, transcriptions, duration_s, warnings)


def _warn_of_fewer(diarization: Diarization, config: InferenceConfig) -> tuple[str, ...]:
    """A warning where fewer speakers are told apart than the caller asks for."""
    n_found = len({turn.speaker for turn in diarization.turns})
    name = "num_speakers" if config.num_speakers else "min_speakers"
    n_wanted = getattr(config, name) or 0
    if n_found >= n_wanted:
        return ()
    return (f"{name}: {n_wanted} asked for; {n_found} voices could be told apart",)


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


def _of_channel(number: int, transcription: Transcription) -> Transcription:
    """Its warnings say which channel they are about."""
    warnings = tuple(f"channel {number}: {warning}" for warning in transcription.warnings)
    return replace(transcription, warnings=warnings)


def _transcript(
    recognition: Recognition, warnings: Sequence[str], stopwatch: Stopwatch
) -> Transcript:
    transcriptions = recognition.transcriptions
    longest = max(transcriptions, key=lambda each: sum(len(s.words) for s in each.segments))
    all_warnings = list(warnings)
    for transcription in transcriptions:
        all_warnings += transcription.warnings
    all_warnings += recognition.warnings
    statistics = [each.statistics for each in transcriptions]
    return Transcript(
        segments=recognition.attribution.segments,
        turns=recognition.attribution.turns,
        speaker_turns=recognition.attribution.speaker_turns,
        language=longest.language,
        duration_s=recognition.duration_s,
        warnings=first_warnings(all_warnings),
        timings_s={
            **stopwatch.laps_s,
            "total": stopwatch.total_s,
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
