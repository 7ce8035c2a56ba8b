"""The JSON that answers a request (docs/endpoint.md). Serialisation only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from speech_endpoint.output.cues import SubtitleOptions
from speech_endpoint.output.formats import render
from speech_endpoint.parameters import InferenceConfig
from speech_endpoint.transcript import Segment, Transcript, Turn, Word

JsonObject = dict[str, Any]

STATS_IN_TIMINGS = frozenset({"steps", "tokens", "acceptance_rate", "tokens_per_step"})
"""Counts and ratios that used to be in `timings`; until the next release they are in both."""


def to_json(transcript: Transcript, config: InferenceConfig) -> JsonObject:
    """`transcript` in plain types (no tuples), ready for any JSON serialiser.

    Args:
        transcript: the result.
        config: says whether chunks, words and a rendering are wanted.
    """
    with_words = config.return_timestamps == "word"
    answer: JsonObject = {
        "text": transcript.text,
        "chunks": [_chunk(segment, with_words) for segment in transcript.segments],
        "speakers": [_turn(turn, with_words) for turn in transcript.turns],
    }
    if config.return_timestamps is False:
        answer["chunks"] = []
    if with_words:
        answer["words"] = _words(transcript.words)
    answer["language"] = transcript.language
    answer["duration"] = _rounded(transcript.duration_s)
    answer["warnings"] = list(transcript.warnings)
    if transcript.known_speakers:
        answer["known_speakers"] = known_speakers(transcript)
    if config.response_format != "json":
        options = SubtitleOptions(config.max_line_chars, config.max_cue_s, config.speaker_labels)
        answer["content"] = render(transcript, config.response_format, options)
    timings = {name: _rounded(seconds) for name, seconds in transcript.timings_s.items()}
    stats = {name: round(value, 3) for name, value in transcript.stats.items()}
    moved = {name: value for name, value in stats.items() if name in STATS_IN_TIMINGS}
    answer["timings"] = timings | moved
    answer["stats"] = stats
    return answer


def known_speakers(transcript: Transcript) -> list[JsonObject]:
    """What has become of each name that the request gave."""
    return [
        {
            "name": each.name,
            "matched": each.matched,
            "speaker": each.speaker,
            "score": None if each.score is None else round(float(each.score), 3),
            "seconds": _rounded(each.seconds),
        }
        for each in transcript.known_speakers
    ]


def _chunk(segment: Segment, with_words: bool) -> JsonObject:
    return _present(
        text=segment.text,
        timestamp=_timestamp(segment),
        speaker=segment.speaker,
        language=segment.language or None,
        words=_words(segment.words) if with_words else None,
    )


def _turn(turn: Turn, with_words: bool) -> JsonObject:
    return _present(
        speaker=turn.speaker,
        text=turn.text,
        timestamp=_timestamp(turn),
        overlap=turn.overlap,
        confidence=None if turn.confidence is None else round(turn.confidence, 3),
        words=_words(turn.words) if with_words else None,
    )


def _words(words: Iterable[Word]) -> list[JsonObject]:
    return [
        _present(
            text=word.text,
            timestamp=_timestamp(word),
            speaker=word.speaker,
            probability=float(word.probability),
        )
        for word in words
    ]


def _timestamp(part: Word | Segment | Turn) -> list[float]:
    return [_rounded(part.start), _rounded(part.end)]


def _rounded(seconds: float) -> float:
    """Round to milliseconds, as a Python float: one of NumPy's rounds differently."""
    return round(float(seconds), 3)


def _present(**fields: Any) -> JsonObject:
    """The fields that have a value; unknown ones have no key."""
    return {name: value for name, value in fields.items() if value is not None}
