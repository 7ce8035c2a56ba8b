"""What every room speaks of: words, segments, turns, the transcript. Pure data.

All times are float seconds from the start of the recording.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from speech_endpoint.orthography import ends_sentence

SAMPLE_RATE_HZ = 16_000
"""Of every waveform once it is decoded: what Whisper, Silero and pyannote expect."""

Waveform = npt.NDArray[np.float32]
"""(samples,), mono, 16 kHz, in [-1, 1]."""
Channels = npt.NDArray[np.float32]
"""(channels, samples): a `Waveform` for each channel."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word with its leading space and punctuation, as Whisper writes it (" Hello,")."""

    text: str
    start: float
    end: float
    probability: float = 1.0
    """Of the word being right, calibrated, 0 to 1."""
    speaker: str | None = None
    """Who says it; None before attribution, and without diarization."""
    tokens: tuple[int, ...] = ()
    """The model's tokens that spell it."""

    @property
    def ends_sentence(self) -> bool:
        """Whether its punctuation says so; see `orthography.ends_sentence`."""
        return ends_sentence(self.text)

    def ends_sentence_before(self, following: Word) -> bool:
        """Whether it does so with that word after it, which tells more of abbreviations."""
        return ends_sentence(self.text, following.text)


@dataclass(frozen=True, slots=True)
class DecodingScores:
    """How sure the model was of the window that a segment comes from (Whisper's own figures)."""

    temperature: float
    mean_log_probability: float
    """Of the window's tokens, the end of text among them."""
    compression_ratio: float
    """Of the window's text, by zlib: repetition compresses well."""
    no_speech_probability: float
    window_start_s: float = 0.0
    """Where the window begins in the recording."""


class _ConsecutiveWords:
    """What segments and turns have in common: one word or more, in order."""

    __slots__ = ()
    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        return "".join(word.text for word in self.words)

    @property
    def start(self) -> float:
        return self.words[0].start

    @property
    def end(self) -> float:
        return max(word.end for word in self.words)


@dataclass(frozen=True, slots=True)
class Segment(_ConsecutiveWords):
    """What Whisper writes between two of its timestamps. Its words join to its text.

    After attribution, all words of a segment are one speaker's.
    """

    words: tuple[Word, ...]
    language: str = ""
    """A code ("en")."""
    scores: DecodingScores | None = None

    @property
    def speaker(self) -> str | None:
        return self.words[0].speaker

    @property
    def tokens(self) -> tuple[int, ...]:
        return tuple(token for word in self.words for token in word.tokens)


@dataclass(frozen=True, slots=True)
class Turn(_ConsecutiveWords):
    """Consecutive words of one speaker."""

    speaker: str
    words: tuple[Word, ...]
    overlap: bool = False
    """Whether somebody else speaks at the same time."""
    confidence: float | None = None
    """The probability that its speaker is right, where the diarization tells."""


@dataclass(frozen=True, slots=True)
class SpeakerTurn:
    """An interval in which the diarization finds one speaker; it carries no words."""

    speaker: str
    start: float
    end: float
    confidence: float | None = None
    """The probability that it is this speaker, where it is known: of exclusive turns."""


@dataclass(frozen=True, slots=True)
class Diarization:
    """Who spoke when. Speakers bear the pipeline's labels; `attribution` names them."""

    turns: tuple[SpeakerTurn, ...] = ()
    """Every turn in order of its start; turns of different speakers may overlap."""
    exclusive_turns: tuple[SpeakerTurn, ...] = ()
    """At most one speaker at any time: the turns to give words to."""
    embeddings: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    """(dimension,), the mean embedding of each speaker, where the pipeline tells."""


@dataclass(frozen=True, slots=True)
class KnownSpeaker:
    """Whether somebody whose voice was known is heard."""

    name: str
    matched: bool = False
    """Whether a speaker bears the name."""
    speaker: str | None = None
    """Who is nearest to the voice, as the transcript names them; None where nobody speaks."""
    score: float | None = None
    """The cosine of the two."""
    seconds: float = 0.0
    """How long who bears the name talks."""


@dataclass(frozen=True, slots=True)
class EnrolledVoice:
    """The voice of a clip."""

    voiceprint: str = field(repr=False)
    """A line of text; see `voices.voiceprint`."""
    model: str
    """The embedding model's name."""
    speech_s: float
    """How long the voice talks."""
    n_voices: int
    """How many were told apart."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """Who said what, when: a request's result, before any format."""

    segments: tuple[Segment, ...]
    """In order; joined they are the text."""
    turns: tuple[Turn, ...] = ()
    """Every word once, in order; empty without diarization."""
    speaker_turns: tuple[SpeakerTurn, ...] = ()
    """The diarization's turns, under the names that words and turns bear."""
    language: str | None = None
    """The language spoken most, a code."""
    duration_s: float = 0.0
    warnings: tuple[str, ...] = ()
    timings_s: Mapping[str, float] = field(default_factory=dict)
    stats: Mapping[str, float] = field(default_factory=dict)
    """Counts and ratios of the decoding."""
    known_speakers: tuple[KnownSpeaker, ...] = ()
    """One of each name that the request gave."""
    enrolled: EnrolledVoice | None = None
    """Where a voiceprint was asked for, and no words."""
    peaks: bytes = b""
    """The recording's outline, as `audio.peaks.peaks` has it; empty where nobody may ask for it."""

    @property
    def words(self) -> tuple[Word, ...]:
        return tuple(word for segment in self.segments for word in segment.words)

    @property
    def text(self) -> str:
        return "".join(segment.text for segment in self.segments)
