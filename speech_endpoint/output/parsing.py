"""Transcripts read back from answers: what `response.to_json` writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from speech_endpoint.transcript import KnownSpeaker, Segment, Transcript, Turn, Word


def from_json(answer: Mapping[str, Any]) -> Transcript:
    """The transcript of an answer that has words (`return_timestamps: "word"`).

    Raises:
        ValueError: it is no such answer.
    """
    try:
        return Transcript(
            segments=tuple(map(_segment, answer["chunks"])),
            turns=tuple(map(_turn, answer["speakers"])),
            language=answer["language"],
            duration_s=float(answer["duration"]),
            warnings=tuple(map(str, answer["warnings"])),
            known_speakers=tuple(map(_known_speaker, answer.get("known_speakers", ()))),
            timings_s=_numbers(answer.get("timings", {})),
            stats=_numbers(answer.get("stats", {})),
        )
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"not an answer of this endpoint ({error!r})") from None


def _segment(chunk: Mapping[str, Any]) -> Segment:
    return Segment(_words(chunk["words"]), chunk.get("language", ""))


def _turn(turn: Mapping[str, Any]) -> Turn:
    return Turn(
        turn["speaker"], _words(turn["words"]), turn.get("overlap", False), turn.get("confidence")
    )


def _known_speaker(found: Mapping[str, Any]) -> KnownSpeaker:
    return KnownSpeaker(
        found["name"],
        found["matched"],
        found.get("speaker"),
        found.get("score"),
        float(found.get("seconds", 0.0)),
    )


def _words(words: Iterable[Mapping[str, Any]]) -> tuple[Word, ...]:
    return tuple(
        Word(
            text=word["text"],
            start=float(word["timestamp"][0]),
            end=float(word["timestamp"][1]),
            probability=float(word["probability"]),
            speaker=word.get("speaker"),
        )
        for word in words
    )


def _numbers(fields: Mapping[str, Any]) -> dict[str, float]:
    return {str(name): value for name, value in fields.items()}
