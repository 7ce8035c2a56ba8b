"""A transcript as text, subtitles (SRT, WebVTT) or RTTM, for people and other programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from speech_endpoint.output.cues import Cue, SubtitleOptions, cues
from speech_endpoint.output.display_text import one_line
from speech_endpoint.transcript import SpeakerTurn, Transcript, Turn

DEFAULT_OPTIONS = SubtitleOptions()
MIN_TURN_MS = 1
"""Of RTTM: scoring tools refuse turns without a duration."""


def render(
    transcript: Transcript, response_format: str, options: SubtitleOptions = DEFAULT_OPTIONS
) -> str:
    """Write `transcript` in one of `FORMATS`: "text", "srt", "vtt", "rttm" or "tsv".

    Args:
        transcript: its turns, or its segments where there are none.
        response_format: a key of `FORMATS`.
        options: of subtitles; the other formats have none.
    """
    return FORMATS[response_format](transcript, options)


def to_text(transcript: Transcript, options: SubtitleOptions) -> str:
    """One line a turn, with its time and speaker; without diarization the text alone."""
    if not transcript.turns:
        text = transcript.text.strip()
        return f"{text}\n" if text else ""
    # Tenths of a second are enough here: the last two digits go.
    return "".join(
        f"[{format_timestamp(turn.start)[:-2]}] {turn.speaker}: {turn.text.strip()}\n"
        for turn in transcript.turns
    )


def to_srt(transcript: Transcript, options: SubtitleOptions) -> str:
    """SubRip: numbered cues; the speaker's name stands before the text, and takes room."""
    blocks = []
    label = _srt_label if options.speaker_labels else _no_label
    for n, cue in enumerate(cues(transcript, options, label), start=1):
        # SubRip has no escapes; its arrow would end the cue for some readers.
        text = "\n".join(cue.lines).replace("-->", "->")
        blocks.append(f"{n}\n{_interval(cue, ',')}\n{text}\n\n")
    return "".join(blocks)


def to_vtt(transcript: Transcript, options: SubtitleOptions) -> str:
    """WebVTT (https://www.w3.org/TR/webvtt1/): speakers are voice spans, which nobody sees."""
    blocks = ["WEBVTT\n\n"]
    for cue in cues(transcript, options, _no_label):
        name = _escape(one_line(cue.speaker or "")) if options.speaker_labels else ""
        text = (f"<v {name}>" if name else "") + _escape("\n".join(cue.lines))
        blocks.append(f"{_interval(cue)}\n{text}\n\n")
    return "".join(blocks)


def to_rttm(transcript: Transcript, options: SubtitleOptions) -> str:
    """Rich Transcription Time Marked (NIST) of the turns; see `rttm`."""
    return rttm(transcript.turns)


def rttm(turns: Iterable[Turn | SpeakerTurn]) -> str:
    """One line of ten fields, parted by blanks, a turn."""
    lines = []
    for turn in turns:
        start, end = round(turn.start * 1000), round(turn.end * 1000)
        start = max(0, min(start, end - MIN_TURN_MS))
        duration_s = max(end - start, MIN_TURN_MS) / 1000
        name = one_line(turn.speaker).replace(" ", "_") or "_"
        lines.append(
            f"SPEAKER audio 1 {start / 1000:.3f} {duration_s:.3f} <NA> <NA> {name} <NA> <NA>\n"
        )
    return "".join(lines)


def to_tsv(transcript: Transcript, options: SubtitleOptions) -> str:
    """Tab separated, as openai/whisper writes it: a segment's milliseconds and text a line."""
    lines = ["start\tend\ttext\n"]
    for segment in transcript.segments:
        start, end = round(segment.start * 1000), round(segment.end * 1000)
        lines.append(f"{start}\t{end}\t{one_line(segment.text)}\n")
    return "".join(lines)


FORMATS: dict[str, Callable[[Transcript, SubtitleOptions], str]] = {
    "text": to_text,
    "srt": to_srt,
    "vtt": to_vtt,
    "rttm": to_rttm,
    "tsv": to_tsv,
}


def format_timestamp(seconds: float, decimal_marker: str = ".") -> str:
    """HH:MM:SS and milliseconds, hours always there: "00:01:02.345"."""
    milliseconds = round(seconds * 1000)
    hours, milliseconds = divmod(milliseconds, 3_600_000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    whole_seconds, milliseconds = divmod(milliseconds, 1000)
    return f"{hours:02d}:{minutes:02d}:{whole_seconds:02d}{decimal_marker}{milliseconds:03d}"


def _interval(cue: Cue, decimal_marker: str = ".") -> str:
    start, end = (format_timestamp(time, decimal_marker) for time in (cue.start, cue.end))
    return f"{start} --> {end}"


def _srt_label(speaker: str) -> str:
    name = one_line(speaker)
    return f"{name}:" if name else ""


def _no_label(speaker: str) -> str:
    return ""


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
