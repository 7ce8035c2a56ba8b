"""A transcript as cues: what is on the screen from when to when. `cue_breaks` has the rules."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from speech_endpoint.output import cue_timing
from speech_endpoint.output.cue_breaks import (
    CueBreaker,
    CueRules,
    CueText,
    Label,
    needed_time_s,
)
from speech_endpoint.output.cue_pieces import LineLimit, Piece, pieces
from speech_endpoint.output.cue_timing import Spoken
from speech_endpoint.output.display_text import columns, shortened
from speech_endpoint.transcript import Transcript


@dataclass(frozen=True, slots=True)
class SubtitleOptions:
    """What a caller may choose."""

    max_line_chars: int = 42
    """Columns; a line with full-width characters holds 16 of them for each 42."""
    max_cue_s: float = 7.0
    speaker_labels: bool = True
    """Whether cues name their speakers."""


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle, of one speaker."""

    start: float
    end: float
    """Seconds, whole milliseconds."""
    lines: tuple[str, ...]
    """One or two, none blank."""
    speaker: str | None


@dataclass(frozen=True, slots=True)
class _Draft:
    """A cue before it has its time."""

    spoken: Spoken
    lines: tuple[str, ...]
    speaker: str | None


def cues(
    transcript: Transcript, options: SubtitleOptions, label: Callable[[str], str]
) -> list[Cue]:
    """Cut a transcript into cues, in order of time; no two are there at once.

    Args:
        transcript: its turns are shown, or its segments where there are none.
        options: limits.
        label: what stands for a speaker's name in the first line; "" for nothing.
    """
    rules = CueRules(LineLimit(options.max_line_chars), options.max_cue_s)
    drafts: list[_Draft] = []
    parts = list(_parts(transcript, rules.limit))
    for n, (speaker, cut) in enumerate(parts):
        next_start_s = parts[n + 1][1][0].start if n + 1 < len(parts) else math.inf
        drafts += _drafts(speaker, cut, _label(speaker, label, rules.limit), rules, next_start_s)
    # Whoever talks over somebody's turn is shown when it happens.
    drafts.sort(key=lambda draft: draft.spoken.start)
    ends_s = (part.end for part in transcript.turns or transcript.segments)
    end = _milliseconds(max(transcript.duration_s, *ends_s, 0.0))
    times = cue_timing.place(
        [draft.spoken for draft in drafts], _milliseconds(options.max_cue_s), end
    )
    return [
        Cue(start / 1000, end / 1000, draft.lines, draft.speaker)
        for draft, (start, end) in zip(drafts, times, strict=True)
    ]


def _parts(transcript: Transcript, limit: LineLimit) -> Iterator[tuple[str | None, list[Piece]]]:
    """Consecutive words of one speaker, of turns or segments, in pieces; none of them empty."""
    latest: dict[str | None, float] = {}
    by_speaker = groupby(transcript.turns or transcript.segments, key=lambda part: part.speaker)
    for speaker, run in by_speaker:
        words = [word for part in run for word in part.words]
        if cut := pieces(words, limit, latest.get(speaker, 0.0)):
            latest[speaker] = cut[-1].start
            yield speaker, cut


def _label(speaker: str | None, label: Callable[[str], str], limit: LineLimit) -> Label:
    text = label(speaker) if speaker else ""
    return Label(shortened(text, limit.of(text)))


def _drafts(
    speaker: str | None, cut: Sequence[Piece], label: Label, rules: CueRules, next_start_s: float
) -> Iterator[_Draft]:
    for cue in CueBreaker(cut, label, rules, next_start_s)():
        said, lines = cut[cue.first : cue.end], _lines(cut, cue, label)
        needed_s = needed_time_s(sum(map(columns, lines)))
        start, end = said[0].start, max(piece.end for piece in said)
        spoken = Spoken(_milliseconds(start), _milliseconds(end), _milliseconds(needed_s))
        yield _Draft(spoken, lines, speaker)


def _lines(cut: Sequence[Piece], cue: CueText, label: Label) -> tuple[str, ...]:
    upper = _joined(cut[cue.first : cue.second_line])
    lower = _joined(cut[cue.second_line : cue.end])
    return tuple(line for line in (f"{label.text} {upper}".strip(), lower) if line)


def _joined(cut: Sequence[Piece]) -> str:
    return "".join(" " * piece.is_spaced + piece.text for piece in cut).strip()


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
