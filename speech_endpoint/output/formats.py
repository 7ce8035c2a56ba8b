"""A transcript as text, subtitles (SRT, WebVTT) or RTTM, for a person or another program to read."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

from speech_endpoint.output.response import AnswerChunk, AnswerTurn, Transcript

LINE_CHARACTERS = 42
SUBTITLE_CHARACTERS = 2 * LINE_CHARACTERS
SUBTITLE_S = 6.0


def render(transcript: Transcript, response_format: str) -> str:
    """`transcript` in a format of `RENDERINGS`."""
    return RENDERINGS[response_format](transcript)


def as_text(transcript: Transcript) -> str:
    """One line a turn, with time and speaker; without diarization the text alone."""
    if not transcript.speakers:
        return transcript.text.strip() + "\n" if transcript.text.strip() else ""
    return "".join(
        f"[{_clock(turn.timestamp[0], '.')[:-2]}] {turn.speaker}: {turn.text.strip()}\n"
        for turn in transcript.speakers
    )


def as_srt(transcript: Transcript) -> str:
    """SubRip."""
    return "".join(
        f"{n}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}\n\n"
        for n, (start, end, text) in enumerate(_subtitles(transcript, "{speaker}: "), start=1)
    )


def as_vtt(transcript: Transcript) -> str:
    """WebVTT; speakers are voice spans."""
    cues = "".join(
        f"{_clock(start, '.')} --> {_clock(end, '.')}\n{text}\n\n"
        for start, end, text in _subtitles(transcript, "<v {speaker}>", escape=True)
    )
    return "WEBVTT\n\n" + cues


def as_rttm(transcript: Transcript) -> str:
    """Rich Transcription Time Marked (NIST): a line a turn."""
    lines = []
    for turn in transcript.speakers:
        start, end = turn.timestamp
        lines.append(
            f"SPEAKER audio 1 {start:.3f} {end - start:.3f} <NA> <NA> {turn.speaker} <NA> <NA>\n"
        )
    return "".join(lines)


RENDERINGS: dict[str, Callable[[Transcript], str]] = {
    "text": as_text,
    "srt": as_srt,
    "vtt": as_vtt,
    "rttm": as_rttm,
}


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    whole, milliseconds = divmod(rest, 1000)
    return f"{hours:02d}:{minutes:02d}:{whole:02d}{point}{milliseconds:03d}"


def _subtitles(
    transcript: Transcript, label: str, *, escape: bool = False
) -> list[tuple[float, float, str]]:
    """Start, end and wrapped text of each subtitle: short enough to read, never across a change of speaker."""
    subtitles = []
    for part in transcript.speakers or transcript.chunks:
        speaker = label.format(speaker=part.speaker) if part.speaker else ""
        for start, end, text in _short_pieces(part):
            if escape:
                text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            lines = "\n".join(textwrap.wrap(text, LINE_CHARACTERS)) or text
            subtitles.append((start, end, speaker + lines))
    return subtitles


def _short_pieces(part: AnswerChunk | AnswerTurn) -> list[tuple[float, float, str]]:
    pieces: list[tuple[float, float, str]] = []
    for word in part.words:
        start, end = word.timestamp
        if (
            pieces
            and len(pieces[-1][2] + word.text) <= SUBTITLE_CHARACTERS
            and end - pieces[-1][0] <= SUBTITLE_S
        ):
            pieces[-1] = (pieces[-1][0], max(end, pieces[-1][1]), pieces[-1][2] + word.text)
        else:
            pieces.append((start, end, word.text))
    return [(start, end, text.strip()) for start, end, text in pieces if text.strip()]


def listing(turns: Sequence[AnswerTurn]) -> str:
    """Turns for a terminal: time, speaker, words, wrapped."""
    lines = []
    for turn in turns:
        head = f"{turn.timestamp[0]:7.2f} – {turn.timestamp[1]:6.2f}  {turn.speaker}  "
        lines.append(
            textwrap.fill(
                turn.text.strip(), 100, initial_indent=head, subsequent_indent=" " * len(head)
            )
        )
    return "\n".join(lines)
