"""Who said what in decoded audio: the two ways of finding that out, and what becomes of it.

The words of each of its recordings are written by whoever holds the models; what is here is what
goes before and after.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from speech_endpoint.attribution import Attribution, attribute, attribute_channels
from speech_endpoint.audio.bleeding import distinct_channels, without_bleeding
from speech_endpoint.audio.decoding.sandbox import DecodedAudio
from speech_endpoint.crosstalk import without_repeats
from speech_endpoint.errors import InvalidRequest
from speech_endpoint.identification import (
    SpeakerFinder,
    UnusableClip,
    enrol,
    known_voices,
    to_known_speakers,
)
from speech_endpoint.parameters import InferenceConfig
from speech_endpoint.transcript import (
    SAMPLE_RATE_HZ,
    Diarization,
    EnrolledVoice,
    KnownSpeaker,
    Waveform,
)
from speech_endpoint.transcription.transcriber import Transcription
from speech_endpoint.units import Units
from speech_endpoint.voices.matching import Match, Vector, default_threshold, match
from speech_endpoint.voices.references import MAX_CLIP_S

logger = logging.getLogger(__name__)

WITHOUT_SPEAKERS = "diarization failed; the transcript has no speakers"
EQUAL_CHANNELS = (
    "channels hold the same sound, and count as one speaker; leave `channels` out to tell apart who"
    " speaks in it"
)


@dataclass(frozen=True)
class Clip:
    """The part of a recording that a voice is learnt from."""

    start: float = 0.0
    end: float | None = None
    """None: to the recording's end."""

    def cut(self, waveform: Waveform) -> Waveform:
        """The part.

        Raises:
            InvalidRequest: it is empty, or longer than MAX_CLIP_S.
        """
        duration_s = waveform.size / SAMPLE_RATE_HZ
        end = duration_s if self.end is None else min(self.end, duration_s)
        if self.start >= end:
            raise InvalidRequest(
                "parameters.start",
                "invalid_value",
                f"{self.start:g} s lies behind the end of the clip, {end:g} s",
            )
        if end - self.start > MAX_CLIP_S:
            raise InvalidRequest(
                "inputs",
                "too_long",
                f"{end - self.start:,.1f} s; at most {MAX_CLIP_S:g} s are allowed: give `start` and"
                " `end` of a part in which one person talks",
            )
        return waveform[round(self.start * SAMPLE_RATE_HZ) : round(end * SAMPLE_RATE_HZ)]


@dataclass(frozen=True)
class Recognised:
    """What was recognised in a request's audio."""

    attribution: Attribution
    transcriptions: Sequence[Transcription]
    """One of each recording."""
    duration_s: float
    warnings: tuple[str, ...] = ()
    """About the speakers."""
    known_speakers: tuple[KnownSpeaker, ...] = ()
    enrolled: EnrolledVoice | None = None


class Recognition(Protocol):
    """A request's audio on its way to a transcript."""

    waveforms: Sequence[Waveform]
    """Recordings, each to be transcribed by itself."""
    is_final_early: bool
    """Whether segments may leave as they are, but for their speakers, before all is known."""

    def enrol(self) -> Units[None]:
        """Learn the voices that the request brings, before all else.

        Raises:
            InvalidRequest: nothing can be learnt from one of them.
        """
        ...

    def diarize(self) -> Units[None]:
        """Find out who speaks when, where that takes a model; never fails."""
        ...

    def conclude(self, transcriptions: Sequence[Transcription]) -> Recognised:
        """Put words and speakers together, of all waveforms, after `diarize`."""
        ...


class MixRecognition:
    """The mix of all channels; a diarization model tells the speakers apart."""

    is_final_early = True

    def __init__(
        self,
        audio: DecodedAudio,
        config: InferenceConfig,
        diarizer: SpeakerFinder | None,
        *,
        without_words: bool = False,
    ) -> None:
        """
        Args:
            audio: of one channel.
            config: what is wanted.
            diarizer: where one is loaded.
            without_words: speakers count though nobody writes down what they say.
        """
        self._without_words = without_words
        self.waveforms: Sequence[Waveform] = list(audio.channels)
        self._config = config
        self._diarizer = None if config.diarize is False else diarizer
        self._clips = audio.clips
        self._voices: dict[str, Vector] = {}
        self._matches: list[Match] = []
        self._diarization: Diarization | None = None
        self._warnings: tuple[str, ...] = ()

    def enrol(self) -> Units[None]:
        """As `Recognition.enrol`."""
        known = self._config.known_speakers
        if self._diarizer is not None and known:
            self._voices = yield from known_voices(known, self._clips, self._diarizer)
            self._matches = self._unmatched()

    def diarize(self) -> Units[None]:
        """As `Recognition.diarize`; if it fails, for whatever reason, the words are no worse."""
        if self._diarizer is None:
            return
        config, (waveform,) = self._config, self.waveforms
        try:
            self._diarization = yield from self._diarizer.stream(
                waveform,
                num_speakers=config.num_speakers,
                min_speakers=config.min_speakers,
                max_speakers=config.max_speakers,
            )
            self._warnings = _warn_of_fewer(self._diarization, config)
            self._identify(self._diarization)
        except Exception:
            self._fail()

    def conclude(self, transcriptions: Sequence[Transcription]) -> Recognised:
        """As `Recognition.conclude`; segments stay as they are where nobody is told apart."""
        (segments,) = (each.segments for each in transcriptions)
        attribution = Attribution(segments, turns=(), speaker_turns=())
        if not segments and not self._without_words:
            nobody = to_known_speakers(self._unmatched(), {}, ())
            return Recognised(
                attribution, transcriptions, _duration_s(self.waveforms), known_speakers=nobody
            )
        if self._diarization is not None:
            try:
                known = {m.label: m.name for m in self._matches if m.matched and m.label}
                attribution = attribute(segments, self._diarization, known)
            except Exception:
                self._fail()
        return Recognised(
            attribution,
            transcriptions,
            _duration_s(self.waveforms),
            self._warnings,
            to_known_speakers(self._matches, attribution.names, attribution.speaker_turns),
        )

    def _identify(self, diarization: Diarization) -> None:
        """Who bears a known voice."""
        if self._voices:
            threshold = self._config.known_speaker_threshold
            if threshold is None:
                threshold = default_threshold(len(self._voices))
            self._matches = match(diarization.embeddings, self._voices, threshold)

    def _fail(self) -> None:
        logger.exception(WITHOUT_SPEAKERS)
        self._diarization, self._warnings = None, (WITHOUT_SPEAKERS,)
        self._matches = self._unmatched()

    def _unmatched(self) -> list[Match]:
        return [Match(name) for name in self._voices]


class ChannelRecognition:
    """What is said on one channel is said by one speaker.

    Equal channels are one, and what bleeds from one into another is transcribed once.
    """

    is_final_early = False

    def __init__(self, audio: DecodedAudio) -> None:
        self._numbers = distinct_channels(list(audio.channels))
        self._channels = [audio.channels[number] for number in self._numbers]
        self._are_equal = len(self._numbers) < len(audio.channels)
        self.waveforms: Sequence[Waveform] = without_bleeding(self._channels)

    def enrol(self) -> Units[None]:
        """As `Recognition.enrol`: nobody is recognised."""
        yield from ()

    def diarize(self) -> Units[None]:
        """As `Recognition.diarize`: there is nothing to find out."""
        yield from ()

    def conclude(self, transcriptions: Sequence[Transcription]) -> Recognised:
        """As `Recognition.conclude`."""
        said = without_repeats([each.segments for each in transcriptions], self._channels)
        return Recognised(
            attribute_channels(said),
            [_of_channel(*pair) for pair in zip(self._numbers, transcriptions, strict=True)],
            _duration_s(self._channels),
            (EQUAL_CHANNELS,) if self._are_equal else (),
        )


class VoiceRecognition:
    """A voiceprint of a clip, and no words."""

    is_final_early = False
    waveforms: Sequence[Waveform] = ()

    def __init__(self, audio: DecodedAudio, clip: Clip, diarizer: SpeakerFinder) -> None:
        (self._waveform,) = audio.channels
        self._clip, self._diarizer = clip, diarizer
        self._enrolled: EnrolledVoice | None = None

    def enrol(self) -> Units[None]:
        """As `Recognition.enrol`: it is all there is to do."""
        waveform = self._clip.cut(self._waveform)
        try:
            self._enrolled = yield from enrol(waveform, self._diarizer)
        except UnusableClip as error:
            raise InvalidRequest("inputs", "invalid_value", str(error)) from None

    def diarize(self) -> Units[None]:
        """As `Recognition.diarize`: there is nothing to find out."""
        yield from ()

    def conclude(self, transcriptions: Sequence[Transcription]) -> Recognised:
        """As `Recognition.conclude`."""
        nothing = Attribution((), turns=(), speaker_turns=())
        duration_s = self._waveform.size / SAMPLE_RATE_HZ
        return Recognised(nothing, transcriptions, duration_s, enrolled=self._enrolled)


def _duration_s(waveforms: Sequence[Waveform]) -> float:
    return waveforms[0].size / SAMPLE_RATE_HZ


def _of_channel(number: int, transcription: Transcription) -> Transcription:
    """Its warnings say which channel they are about."""
    warnings = tuple(f"channel {number}: {warning}" for warning in transcription.warnings)
    return replace(transcription, warnings=warnings)


def _warn_of_fewer(diarization: Diarization, config: InferenceConfig) -> tuple[str, ...]:
    """A warning where fewer speakers are told apart than the caller asks for."""
    n_found = len({turn.speaker for turn in diarization.turns})
    name = "num_speakers" if config.num_speakers else "min_speakers"
    n_wanted = getattr(config, name) or 0
    if n_found >= n_wanted:
        return ()
    voices = "voice" if n_found == 1 else "voices"
    return (f"{name}: {n_wanted} asked for; {n_found} {voices} could be told apart",)
