"""Answers, format by format: rules A-7 to A-12."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import Any

from tools.conformance.row import Row, expect
from tools.conformance.target import SPOKEN, Target, answered

SEGMENT_TYPES = {
    "id": int, "seek": int, "start": float, "end": float, "text": str, "tokens": list,
    "temperature": float, "avg_logprob": float, "compression_ratio": float,
    "no_speech_prob": float,
}  # fmt: skip
SRT_CUE = re.compile(r"^1\r?\n\d\d:\d\d:\d\d,\d{3} --> \d\d:\d\d:\d\d,\d{3}\r?\n")
VTT_CUE = re.compile(r"(\d\d:)?\d\d:\d\d\.\d{3} --> (\d\d:)?\d\d:\d\d\.\d{3}")


def json_text(target: Target) -> None:
    expect(SPOKEN in target.text.lower(), f"another text: {target.text[:60]!r}")
    expect(target.text == target.text.strip(), "blanks around the text")


def usage(target: Target) -> None:
    used = target.verbose.get("usage")
    seconds = math.ceil(target.verbose["duration"])
    wanted = {"type": "duration", "seconds": seconds}
    expect(used == wanted, f"usage is {used!r}")


def plain_text(target: Target) -> None:
    text = rendered(target, "text", "text/plain")
    expect(not text.startswith(('"', "{")), f"JSON: {text[:60]!r}")


def srt(target: Target) -> None:
    text = rendered(target, "srt", "application/x-subrip", "text/plain")
    expect(SRT_CUE.match(text), f"no cue: {text[:60]!r}")


def vtt(target: Target) -> None:
    text = rendered(target, "vtt", "text/vtt")
    expect(text.startswith(("WEBVTT\n", "WEBVTT\r\n")), f"no head: {text[:30]!r}")
    expect(VTT_CUE.search(text), f"no cue: {text[:60]!r}")


def rendered(target: Target, response_format: str, *media_types: str) -> str:
    """A bare rendering, as bytes that can go into a file."""
    response = target.post([("model", "whisper-1"), ("response_format", response_format)])
    body = response.content.decode()
    expect(response.status_code == 200, f"{response.status_code} {body[:100]}")
    given = response.headers.get("content-type", "").partition(";")[0]
    expect(given in media_types, f"content type {given}")
    expect(body.endswith("\n") and not body.startswith("\ufeff"), "no newline at the end, or a BOM")
    expect(SPOKEN in body.lower(), f"another text: {body[:60]!r}")
    return body


def verbose_head(target: Target) -> None:
    answer = target.verbose
    expect(answer.get("task") == "transcribe", f"task is {answer.get('task')!r}")
    expect(answer.get("language") == "english", f"language is {answer.get('language')!r}")
    duration = answer.get("duration")
    expect(type(duration) in (int, float), f"duration is {duration!r}")


def verbose_segments(target: Target) -> None:
    segments = target.verbose.get("segments")
    expect(segments, "no segments")
    for number, segment in enumerate(segments or []):
        missing = set(SEGMENT_TYPES) - set(segment)
        expect(not missing, f"no {', '.join(sorted(missing))}")
        expect(segment["id"] == number, f"id {segment['id']!r} of segment {number}")
        wrong = [name for name, kind in SEGMENT_TYPES.items() if not _is(segment[name], kind)]
        expect(not wrong, f"of another type: {', '.join(wrong)}")
    for one, other in pairwise(segments or []):
        expect(one["start"] <= other["start"], "segments are not in order of time")


def verbose_figures(target: Target) -> None:
    for segment in target.verbose.get("segments") or [{}]:
        expect(segment.get("tokens"), "no tokens")
        expect(all(_is(token, int) for token in segment["tokens"]), "tokens that are no numbers")
        expect(segment["avg_logprob"] < 0, f"avg_logprob {segment['avg_logprob']}")
        expect(segment["compression_ratio"] > 0, "compression_ratio is 0")
        expect(0 <= segment["no_speech_prob"] <= 1, "no_speech_prob is no probability")


def verbose_words(target: Target) -> None:
    words = target.verbose.get("words")
    expect(words, "no words")
    for word in words or []:
        expect({"word", "start", "end"} <= set(word), f"keys {', '.join(word)}")
        expect(word["word"] == word["word"].strip(), f"a blank in {word['word']!r}")
        expect(0 <= word["start"] <= word["end"], f"{word['word']!r} ends before it begins")


def granularities(target: Target) -> None:
    fields = [("model", "whisper-1"), ("response_format", "verbose_json")]
    alone = answered(target.post(fields))
    expect("segments" in alone and not alone.get("words"), "default: not segments alone")
    words = answered(target.post([*fields, ("timestamp_granularities[]", "word")]))
    expect(words.get("words") and not words.get("segments"), "word: not words alone")


def diarized_segments(target: Target) -> None:
    answer = diarized(target)
    expect(answer.get("task") == "transcribe" and _is(answer.get("duration"), float), "its head")
    expect(answer.get("segments"), "no segments")
    for number, segment in enumerate(answer["segments"]):
        expect(segment.get("type") == "transcript.text.segment", f"type {segment.get('type')!r}")
        expect(segment.get("id") == f"seg_{number + 1:03d}", f"id {segment.get('id')!r}")
        expect(re.fullmatch("[A-Z]+", str(segment.get("speaker"))), f"{segment.get('speaker')!r}")
        expect(segment["start"] <= segment["end"], "a segment that ends before it begins")


def diarized_text(target: Target) -> None:
    first = str(diarized(target).get("text")).partition("\n")[0]
    expect(re.match("[A-Z]+: ", first), f"a line without its speaker: {first[:60]!r}")


def diarized(target: Target) -> dict[str, Any]:
    """The clip with its speakers."""
    fields = [("model", "gpt-4o-transcribe-diarize"), ("response_format", "diarized_json")]
    return answered(target.post([*fields, ("chunking_strategy", "auto")]))


def _is(value: object, kind: type) -> bool:
    """As in JSON, where 1 is a number like 1.0, and true is none."""
    if isinstance(value, bool):
        return False
    return isinstance(value, (int, float) if kind is float else kind)


ROWS = (
    Row("openai", "json", "`text`, without blanks around it", json_text),
    Row("openai", "usage", "type duration, whole seconds", usage),
    Row("openai", "A-7", "text", plain_text),
    Row("openai", "A-7", "srt as bare text", srt),
    Row("openai", "A-7", "vtt as bare text", vtt),
    Row("openai", "A-8", "verbose: language's name, numeric duration", verbose_head),
    Row("openai", "A-8", "verbose: all keys of segments", verbose_segments),
    Row("openai", "A-8", "verbose: words without blanks", verbose_words),
    Row("openai", "A-8", "verbose: what the granularities ask for", granularities),
    Row("openai", "A-9", "verbose: tokens and figures of segments", verbose_figures),
    Row("openai", "A-10", "diarized: ids, letters for speakers", diarized_segments),
    Row("openai", "A-11", "diarized: a speaker before each line", diarized_text),
)
