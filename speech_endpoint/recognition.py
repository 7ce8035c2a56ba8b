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
from speech_endpoint.diarization.diarizer import Diarizer
from speech_endpoint.parameters import InferenceConfig
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Diarization, Waveform
from speech_endpoint.transcription.transcriber import Transcription
from speech_endpoint.units import Units

logger = logging.getLogger(__name__)

WITHOUT_SPEAKERS = "diarization failed; the transcript has no speakers"
EQUAL_CHANNELS = (
    "channels hold the same sound, and count as one speaker; leave `channels` out to tell apart who"
    " speaks in it"
)


@dataclass(frozen=True)
class Recognised:
    """What was recognised in a request's audio."""

    attribution: Attribution
    transcriptions: Sequence[Transcription]
    """One of each recording."""
    duration_s: float
    warnings: tuple[str, ...] = ()
    """About the speakers."""


class Recognition(Protocol):
    """A request's audio on its way to a transcript."""

    waveforms: Sequence[Waveform]
    """Recordings, each to be transcribed by itself."""
    is_final_early: bool
    """Whether segments may leave as they are, but for their speakers, before all is known."""

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
        diarizer: Diarizer | None,
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
        self._diarization: Diarization | None = None
        self._warnings: tuple[str, ...] = ()

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
        except Exception:
            self._fail()

    def conclude(self, transcriptions: Sequence[Transcription]) -> Recognised:
        """As `Recognition.conclude`; segments stay as they are where nobody is told apart."""
        (segments,) = (each.segments for each in transcriptions)
        attribution = Attribution(segments, turns=(), speaker_turns=())
        is_heard = bool(segments) or self._without_words
        if self._diarization is not None and is_heard:
            try:
                attribution = attribute(segments, self._diarization)
            except Exception:
                self._fail()
        warnings = self._warnings if is_heard else ()
        return Recognised(attribution, transcriptions, _duration_s(self.waveforms), warnings)

    def _fail(self) -> None:
        logger.exception(WITHOUT_SPEAKERS)
        self._diarization, self._warnings = None, (WITHOUT_SPEAKERS,)


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
    return (f"{name}: {n_wanted} asked for; {n_found} voices could be told apart",)
