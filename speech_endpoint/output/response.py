"""The answer to a request: the shape that callers see, and how words and speakers become it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, PlainSerializer

from speech_endpoint.attribution import split_chunks_at_speaker_changes, spoken_turns
from speech_endpoint.transcript import AttributedWord, SpeakerTurn, Word

Seconds = Annotated[float, PlainSerializer(lambda s: round(s, 3), return_type=float)]
Timestamp = tuple[Seconds, Seconds]


class AnswerWord(BaseModel):
    model_config = ConfigDict(frozen=True)

    text: str
    timestamp: Timestamp
    speaker: str | None = None
    probability: float


class AnswerChunk(BaseModel):
    """A segment of text; `speaker` with diarization."""

    model_config = ConfigDict(frozen=True)

    text: str
    timestamp: Timestamp
    speaker: str | None = None
    language: str | None = None
    words: list[AnswerWord]


class AnswerTurn(BaseModel):
    """What one speaker says until another does."""

    model_config = ConfigDict(frozen=True)

    speaker: str
    text: str
    timestamp: Timestamp
    overlap: bool
    words: list[AnswerWord]


class Transcript(BaseModel):
    """Who said what, when."""

    model_config = ConfigDict(frozen=True)

    text: str
    chunks: list[AnswerChunk]
    speakers: list[AnswerTurn]
    words: list[AnswerWord]
    language: str | None
    duration: Seconds

    def as_answer(self, *, timestamps: bool | str, **extra: Any) -> dict[str, Any]:
        """Plain types, ready for JSON; chunks are left out when `timestamps` is False, words unless it is "word"."""
        inside: Any = {"__all__": {"words"}}
        exclude: Any = (
            None if timestamps == "word" else {"chunks": inside, "speakers": inside, "words": True}
        )
        # By way of JSON's types: lists, not tuples, for any serialiser. What has no speaker has no such key.
        answer = self.model_dump(mode="json", exclude=exclude, exclude_none=True) | {
            "language": self.language
        }
        if timestamps is False:
            answer["chunks"] = []
        return answer | extra


def build_transcript(
    words: Sequence[AttributedWord],
    turns: Sequence[SpeakerTurn] | None,
    language: str | None,
    duration: float,
) -> Transcript:
    """Put the answer together.

    Args:
        words: in order; joined they are the text.
        turns: who spoke when, for what overlaps; None where speakers were not asked for.
        language: a code.
        duration: of the recording, seconds.
    """
    answer_words = [_answer_word(word.word, word.speaker) for word in words]
    return Transcript(
        text="".join(word.text for word in answer_words),
        chunks=[
            AnswerChunk(
                text=chunk.text,
                timestamp=(chunk.start, chunk.end),
                speaker=speaker,
                language=chunk.language or None,
                words=_answer_words(chunk.words, speaker),
            )
            for chunk, speaker in split_chunks_at_speaker_changes(words)
        ],
        speakers=[
            AnswerTurn(
                speaker=turn.speaker,
                text=turn.text,
                timestamp=(turn.start, turn.end),
                overlap=turn.overlap,
                words=_answer_words(turn.words, turn.speaker),
            )
            for turn in ([] if turns is None else spoken_turns(words, turns))
        ],
        words=answer_words,
        language=language,
        duration=duration,
    )


def _answer_words(words: Iterable[Word], speaker: str | None) -> list[AnswerWord]:
    return [_answer_word(word, speaker) for word in words]


def _answer_word(word: Word, speaker: str | None) -> AnswerWord:
    return AnswerWord(
        text=word.text,
        timestamp=(word.start, word.end),
        speaker=speaker,
        probability=word.probability,
    )
