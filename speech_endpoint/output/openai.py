"""A transcript in the shapes of OpenAI's audio API."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from speech_endpoint.languages import language_name
from speech_endpoint.output.openai_shapes import (
    DiarizationJson,
    DiarizationSegment,
    DiarizedJson,
    DiarizedSegment,
    Json,
    TokenLogprob,
    Usage,
    VerboseJson,
    VerboseSegment,
    VerboseWord,
)
from speech_endpoint.output.response import known_speakers
from speech_endpoint.transcript import DecodingScores, Segment, Transcript, Turn, Word

FRAMES_PER_S = 100
"""Of Whisper's spectrogram, which `seek` counts in."""
NO_SCORES = DecodingScores(0.0, 0.0, 0.0, 0.0)
MIN_PROBABILITY = 1e-6
"""Has a logarithm."""


def to_json(transcript: Transcript, *, logprobs: bool = False) -> Json:
    """`json`: the text alone, and what it was counted as."""
    answer = Json(
        text=plain_text(transcript),
        usage=_usage(transcript),
        languages=[{"code": code} for code in _languages(transcript)],
    )
    if logprobs:
        answer["logprobs"] = word_logprobs(transcript.words)
    return answer


def to_verbose_json(
    transcript: Transcript, task: str, granularities: Iterable[str] = ("segment",)
) -> VerboseJson:
    """`verbose_json`.

    Args:
        transcript: the result.
        task: "transcribe", or "translate", whose text is English.
        granularities: "segment", "word", or both.
    """
    answer = VerboseJson(
        task=task,
        language="english" if task == "translate" else language_name(transcript.language or ""),
        duration=_rounded(transcript.duration_s),
        text=plain_text(transcript),
        usage=_usage(transcript),
    )
    if "segment" in granularities:
        answer["segments"] = [
            verbose_segment(n, segment) for n, segment in enumerate(transcript.segments)
        ]
    if "word" in granularities:
        answer["words"] = verbose_words(transcript.words)
    return answer


def times(transcript: Transcript, granularities: Iterable[str]) -> dict[str, Any]:
    """What `verbose_json` has of times: segments, words, or both.

    For `json`: SubtitleEdit asks for it with granularities, and makes its subtitles of these.
    """
    verbose = to_verbose_json(transcript, "transcribe", granularities)
    return {name: value for name, value in verbose.items() if name in ("segments", "words")}


def to_diarized_json(transcript: Transcript, *, words: bool = False) -> DiarizedJson:
    """`diarized_json`: a segment a turn, in order of its start."""
    turns = sorted(transcript.turns, key=lambda turn: turn.start)
    return DiarizedJson(
        task="transcribe",
        duration=_rounded(transcript.duration_s),
        text="\n".join(f"{turn.speaker}: {turn.text.strip()}" for turn in turns),
        transcript=plain_text(transcript),
        segments=[diarized_segment(n, turn, words=words) for n, turn in enumerate(turns)],
        usage=_usage(transcript),
    )


def to_diarization_json(transcript: Transcript) -> DiarizationJson:
    """Who spoke when, without text."""
    turns = sorted(transcript.speaker_turns, key=lambda turn: turn.start)
    segments = []
    for n, turn in enumerate(turns):
        segment = DiarizationSegment(
            id=segment_id(n),
            speaker=turn.speaker,
            start=_rounded(turn.start),
            end=_rounded(turn.end),
        )
        if turn.confidence is not None:
            segment["confidence"] = round(float(turn.confidence), 3)
        segments.append(segment)
    answer = DiarizationJson(
        task="diarize",
        duration=_rounded(transcript.duration_s),
        num_speakers=len({turn.speaker for turn in turns}),
        segments=segments,
        usage=_usage(transcript),
    )
    if transcript.known_speakers:
        answer["known_speakers"] = known_speakers(transcript)
    return answer


def plain_text(transcript: Transcript) -> str:
    """The text without blanks around it."""
    return transcript.text.strip()


def verbose_segment(number: int, segment: Segment) -> VerboseSegment:
    """A segment, with the figures of its window."""
    scores = segment.scores or NO_SCORES
    answer = VerboseSegment(
        id=number,
        seek=round(scores.window_start_s * FRAMES_PER_S),
        start=_rounded(segment.start),
        end=_rounded(segment.end),
        text=segment.text,
        tokens=list(segment.tokens),
        temperature=float(scores.temperature),
        avg_logprob=float(scores.mean_log_probability),
        compression_ratio=float(scores.compression_ratio),
        no_speech_prob=float(scores.no_speech_probability),
    )
    if segment.speaker is not None:
        answer["speaker"] = segment.speaker
    return answer


def verbose_words(words: Iterable[Word]) -> list[VerboseWord]:
    """Words without the blanks around them, with their punctuation."""
    answers = []
    for word in words:
        answer = VerboseWord(
            word=word.text.strip(),
            start=_rounded(word.start),
            end=_rounded(word.end),
            probability=float(word.probability),
        )
        if word.speaker is not None:
            answer["speaker"] = word.speaker
        answers.append(answer)
    return answers


def diarized_segment(number: int, turn: Turn, *, words: bool = False) -> DiarizedSegment:
    """A turn."""
    answer = DiarizedSegment(
        type="transcript.text.segment",
        id=segment_id(number),
        start=_rounded(turn.start),
        end=_rounded(turn.end),
        text=turn.text.strip(),
        speaker=turn.speaker,
    )
    if words:
        answer["words"] = verbose_words(turn.words)
    return answer


def segment_id(number: int) -> str:
    """Of a turn: "seg_001" is the first."""
    return f"seg_{number + 1:03d}"


def word_logprobs(words: Iterable[Word]) -> list[TokenLogprob]:
    """How sure the model is, word by word."""
    return [
        TokenLogprob(
            token=word.text,
            logprob=math.log(max(MIN_PROBABILITY, float(word.probability))),
            bytes=list(word.text.encode(errors="replace")),
        )
        for word in words
    ]


def with_letters(transcript: Transcript) -> Transcript:
    """The same with speakers called A, B, … in the order of their first words; after Z: AA.

    Who is known by name keeps it, and no other is called so.
    """
    known = {each.name: each.name for each in transcript.known_speakers if each.matched}
    names = [word.speaker for word in transcript.words if word.speaker is not None]
    names += [turn.speaker for turn in transcript.turns]
    names += [turn.speaker for turn in transcript.speaker_turns]
    free = (letter for letter in map(speaker_letter, itertools.count()) if letter not in known)
    letters = {name: known.get(name) or next(free) for name in dict.fromkeys(names)}

    def renamed(words: Sequence[Word]) -> tuple[Word, ...]:
        return tuple(
            word if word.speaker is None else replace(word, speaker=letters[word.speaker])
            for word in words
        )

    return replace(
        transcript,
        segments=tuple(replace(each, words=renamed(each.words)) for each in transcript.segments),
        turns=tuple(
            replace(turn, speaker=letters[turn.speaker], words=renamed(turn.words))
            for turn in transcript.turns
        ),
        speaker_turns=tuple(
            replace(turn, speaker=letters[turn.speaker]) for turn in transcript.speaker_turns
        ),
        known_speakers=tuple(
            each if each.speaker is None else replace(each, speaker=letters[each.speaker])
            for each in transcript.known_speakers
        ),
    )


def speaker_letter(number: int) -> str:
    """A, B, …, Z, AA, AB, …"""
    letters = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def _languages(transcript: Transcript) -> list[str]:
    """Those that are spoken, the one spoken longest first."""
    seconds: dict[str, float] = {}
    for segment in transcript.segments:
        if segment.language:
            seconds[segment.language] = (
                seconds.get(segment.language, 0.0) + segment.end - segment.start
            )
    return sorted(seconds, key=lambda code: -seconds[code])


def _usage(transcript: Transcript) -> Usage:
    return Usage(type="duration", seconds=math.ceil(transcript.duration_s))


def _rounded(seconds: float) -> float:
    """To milliseconds, as a float of Python."""
    return round(float(seconds), 3)
