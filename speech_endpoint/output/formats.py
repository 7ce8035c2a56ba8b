"""A transcript as text, subtitles (SRT, WebVTT) or RTTM, for people and other programs."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from speech_endpoint.transcript import Segment, Transcript, Turn

MAX_LINE_CHARACTERS = 42
MAX_CUE_CHARACTERS = 2 * MAX_LINE_CHARACTERS
MAX_CUE_S = 6.0


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle: what is on the screen from `start` to `end`, seconds."""

    start: float
    end: float
    text: str


def render(transcript: Transcript, response_format: str) -> str:
    """Write `transcript` in one of `FORMATS`: "text", "srt", "vtt" or "rttm"."""
    return FORMATS[response_format](transcript)


def to_text(transcript: Transcript) -> str:
    """One line a turn, with its time and speaker; without diarization the text alone."""
    if not transcript.turns:
        text = transcript.text.strip()
        return f"{text}\n" if text else ""
    # Tenths of a second are enough here: the last two digits go.
    return "".join(
        f"[{format_timestamp(turn.start)[:-2]}] {turn.speaker}: {turn.text.strip()}\n"
        for turn in transcript.turns
    )


def to_srt(transcript: Transcript) -> str:
    """SubRip: numbered cues; the speaker stands before the text."""
    blocks = []
    for n, cue in enumerate(_labelled_cues(transcript, "{speaker}: "), start=1):
        start, end = format_timestamp(cue.start, ","), format_timestamp(cue.end, ",")
        blocks.append(f"{n}\n{start} --> {end}\n{cue.text}\n\n")
    return "".join(blocks)


def to_vtt(transcript: Transcript) -> str:
    """WebVTT: speakers are voice spans (https://www.w3.org/TR/webvtt1/)."""
    blocks = ["WEBVTT\n\n"]
    for cue in _labelled_cues(transcript, "<v {speaker}>", escape=_escape):
        start, end = format_timestamp(cue.start), format_timestamp(cue.end)
        blocks.append(f"{start} --> {end}\n{cue.text}\n\n")
    return "".join(blocks)


def to_rttm(transcript: Transcript) -> str:
    """Rich Transcription Time Marked (NIST): one line of ten fields a turn."""
    return "".join(
        f"SPEAKER audio 1 {turn.start:.3f} {turn.end - turn.start:.3f}"
        f" <NA> <NA> {turn.speaker} <NA> <NA>\n"
        for turn in transcript.turns
    )


FORMATS: dict[str, Callable[[Transcript], str]] = {
    "text": to_text,
    "srt": to_srt,
    "vtt": to_vtt,
    "rttm": to_rttm,
}


def format_timestamp(seconds: float, decimal_marker: str = ".") -> str:
    """HH:MM:SS and milliseconds, hours always there: "00:01:02.345"."""
    milliseconds = round(seconds * 1000)
    hours, milliseconds = divmod(milliseconds, 3_600_000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    whole_seconds, milliseconds = divmod(milliseconds, 1000)
    return f"{hours:02d}:{minutes:02d}:{whole_seconds:02d}{decimal_marker}{milliseconds:03d}"


def _labelled_cues(
    transcript: Transcript, label: str, escape: Callable[[str], str] = str
) -> Iterator[Cue]:
    """Cues of at most two wrapped lines, none across a change of speaker.

    Args:
        transcript: its turns are shown, or its segments where there are none.
        label: put before each cue that has a speaker; "{speaker}" is replaced.
        escape: makes text safe for the format.
    """
    for part in transcript.turns or transcript.segments:
        prefix = label.format(speaker=part.speaker) if part.speaker else ""
        for cue in _cues(part):
            text = escape(cue.text)
            lines = "\n".join(textwrap.wrap(text, MAX_LINE_CHARACTERS)) or text
            yield Cue(cue.start, cue.end, prefix + lines)


def _cues(part: Segment | Turn) -> list[Cue]:
    """The words of a segment or turn, packed into cues that are short enough to read."""
    cues: list[Cue] = []
    for word in part.words:
        last = cues[-1] if cues else None
        if (
            last
            and len(last.text + word.text) <= MAX_CUE_CHARACTERS
            and word.end - last.start <= MAX_CUE_S
        ):
            cues[-1] = Cue(last.start, max(word.end, last.end), last.text + word.text)
        else:
            cues.append(Cue(word.start, word.end, word.text))
    return [Cue(cue.start, cue.end, cue.text.strip()) for cue in cues if cue.text.strip()]


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
