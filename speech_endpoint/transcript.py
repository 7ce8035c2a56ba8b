"""The types that every part of the project speaks: words, chunks, speaker turns and the finished transcript.

All times are float seconds from the start of the recording.
"""

from __future__ import annotations

from dataclasses import dataclass

SAMPLE_RATE_HZ = 16_000
"""Of every waveform once it is decoded: what Whisper, Silero and pyannote all hear."""

SENTENCE_ENDS = (".", "?", "!", "…", "。", "？", "！", "।", "؟")


@dataclass(frozen=True, slots=True)
class Word:
    """One word with its leading space and punctuation, as Whisper writes it (" Hello,")."""

    text: str
    start: float
    end: float
    probability: float = 1.0
    """Mean probability of the word's tokens, 0 to 1."""

    @property
    def ends_sentence(self) -> bool:
        """Whether its punctuation, within quotation marks or brackets or not, says so."""
        return self.text.rstrip(" \"'”’»)]」』").endswith(SENTENCE_ENDS)


@dataclass(frozen=True, slots=True)
class Chunk:
    """One segment of Whisper's text: what lies between two of its timestamps. Its words join to its text."""

    words: tuple[Word, ...]
    start: float
    end: float
    language: str = ""

    @property
    def text(self) -> str:
        return "".join(word.text for word in self.words)


@dataclass(frozen=True, slots=True)
class SpeakerTurn:
    """A stretch of time in which the diarization hears one speaker; it knows nothing of words."""

    speaker: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Diarization:
    """Who spoke when."""

    turns: tuple[SpeakerTurn, ...]
    """Every turn in order of its start; turns of different speakers may overlap."""
    exclusive_turns: tuple[SpeakerTurn, ...]
    """At most one speaker at any time: the turns to give words to."""


@dataclass(frozen=True, slots=True)
class AttributedWord:
    """A word and the speaker who said it (None without diarization)."""

    word: Word
    speaker: str | None
    chunk: int
    """Index of the word's chunk in the transcript."""
    language: str = ""
    """The chunk's language, a code."""


@dataclass(frozen=True, slots=True)
class SpokenTurn:
    """Consecutive words of one speaker."""

    speaker: str
    words: tuple[Word, ...]
    overlap: bool = False
    """True where another speaker talks at the same time."""

    @property
    def text(self) -> str:
        return "".join(word.text for word in self.words)

    @property
    def start(self) -> float:
        return self.words[0].start

    @property
    def end(self) -> float:
        return max(word.end for word in self.words)
