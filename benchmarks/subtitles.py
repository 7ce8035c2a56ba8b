"""Subtitles of the same words: this project's beside whisperX's and stable-ts's.

The recordings are heard once, by this project; each writer gets its words, segments and speakers.
Counted is what publishers' guides forbid: lines over 42 columns or a third one, cues shown for less
than 5/6 s or more than 7 s, over 20 columns a second, short words left alone in a cue or a last
line, and overlaps. The peers need only be unpacked, without their dependencies:

    .venv/bin/pip install --no-deps --target build/subtitles whisperx==3.8.6 stable-ts==2.19.1
    .venv/bin/python -m benchmarks.subtitles --peers build/subtitles
"""

from __future__ import annotations

import argparse
import io
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any

from benchmarks import corpus, run
from benchmarks.systems import OurEndpoint
from speech_endpoint.config import InferenceConfig
from speech_endpoint.output.cues import SubtitleOptions
from speech_endpoint.output.display_text import columns, is_full_width
from speech_endpoint.output.formats import render
from speech_endpoint.reception import Request
from speech_endpoint.transcript import Segment, Transcript, Word

MAX_LINES = 2
MAX_COLUMNS, MAX_FULL_WIDTH_COLUMNS = 42, 32
MIN_CUE_S, MAX_CUE_S, MAX_COLUMNS_PER_S = 5 / 6, 7.0, 20.0
MAX_ORPHAN_COLUMNS = 12
# Times are written in milliseconds.
EPSILON_S = 0.0011
TIME = r"(\d+):(\d\d):(\d\d),(\d{3})"
LABEL = re.compile(r"^\[?(SPEAKER_\d+)\]?:\s*")

Writer = Callable[[Transcript], str]
"""A transcript as SRT."""


@dataclass(frozen=True)
class Cue:
    """As it stands in a file."""

    start: float
    end: float
    lines: tuple[str, ...]

    @property
    def speaker(self) -> str:
        label = LABEL.match(self.lines[0])
        return label[1] if label else ""

    @property
    def spoken(self) -> list[str]:
        """Its lines without the label."""
        return [line for line in (LABEL.sub("", line).strip() for line in self.lines) if line]


@dataclass
class Faults:
    """Counts of cues, but `long_lines` of lines."""

    cues: int = 0
    long_lines: int = 0
    more_lines: int = 0
    short: int = 0
    long: int = 0
    fast: int = 0
    fast_with_label: int = 0
    orphans: int = 0
    overlaps: int = 0

    def __add__(self, other: Faults) -> Faults:
        mine, others = asdict(self), asdict(other)
        return Faults(**{name: mine[name] + others[name] for name in mine})


HEAD = {
    "cues": "cues",
    "long_lines": f"lines over {MAX_COLUMNS}",
    "more_lines": "over two lines",
    "short": "under 0.83 s",
    "long": "over 7 s",
    "fast": "over 20 a second",
    "fast_with_label": "with the label",
    "orphans": "orphans",
    "overlaps": "overlaps",
}


def read(srt: str) -> list[Cue]:
    """The cues of an SRT file."""
    found = []
    for block in srt.strip().split("\n\n"):
        lines = block.split("\n")
        if len(lines) < 2 or not (times := re.fullmatch(f"{TIME} --> {TIME}", lines[1])):
            continue
        h, m, s, ms, *end = map(int, times.groups())
        h2, m2, s2, ms2 = end
        start_s, end_s = h * 3600 + m * 60 + s + ms / 1000, h2 * 3600 + m2 * 60 + s2 + ms2 / 1000
        found.append(Cue(start_s, end_s, tuple(lines[2:])))
    return found


def judge(cues: Sequence[Cue]) -> Faults:
    """Count what publishers' guides forbid."""
    faults = Faults(cues=len(cues))
    before: dict[str, Cue] = {}
    for cue in cues:
        shown_s = cue.end - cue.start + EPSILON_S
        limits = [MAX_FULL_WIDTH_COLUMNS if is_full_width(x) else MAX_COLUMNS for x in cue.lines]
        faults.long_lines += sum(
            columns(x) > most for x, most in zip(cue.lines, limits, strict=True)
        )
        faults.more_lines += len(cue.lines) > MAX_LINES
        faults.short += shown_s < MIN_CUE_S
        faults.long += shown_s > MAX_CUE_S + 2 * EPSILON_S
        faults.fast += sum(map(columns, cue.spoken)) / shown_s > MAX_COLUMNS_PER_S
        faults.fast_with_label += sum(map(columns, cue.lines)) / shown_s > MAX_COLUMNS_PER_S
        faults.orphans += is_orphaned(cue, before.get(cue.speaker))
        before[cue.speaker] = cue
    faults.overlaps = sum(a.end > b.start + EPSILON_S for a, b in pairwise(cues))
    return faults


def is_orphaned(cue: Cue, before: Cue | None) -> bool:
    """Whether a short word is alone in a last line, or in a cue that is no sentence of its own."""
    spoken = cue.spoken
    if len(spoken) > 1:
        return is_short_word(spoken[-1])
    begins = before is None or Word("".join(before.spoken), 0.0, 0.0).ends_sentence
    return not begins and any(map(is_short_word, spoken))


def is_short_word(text: str) -> bool:
    return " " not in text and columns(text) <= MAX_ORPHAN_COLUMNS


def _segment(segment: Segment, *, spaced: bool) -> dict[str, Any]:
    """As the peers take it; stable-ts's words have their blanks."""
    words = [
        {"word": word.text if spaced else word.text.strip(), "start": word.start, "end": word.end}
        for word in segment.words
    ]
    spoken = {"start": segment.start, "end": segment.end, "text": segment.text, "words": words}
    return spoken if spaced or not segment.speaker else spoken | {"speaker": segment.speaker}


def whisperx(transcript: Transcript, width: int | None, lines: int | None) -> str:
    """whisperX's writer with its options `--max_line_width` and `--max_line_count`."""
    from whisperx.utils import WriteSRT

    options = {"max_line_width": width, "max_line_count": lines, "highlight_words": False}
    segments = [_segment(segment, spaced=False) for segment in transcript.segments]
    file = io.StringIO()
    result = {"segments": segments, "language": transcript.language or "en"}
    WriteSRT(".").write_result(result, file, options)
    return file.getvalue()


def stable_ts(transcript: Transcript, regroup: str) -> str:
    """stable-ts's writer after a regrouping; "da" is its default."""
    from stable_whisper import WhisperResult

    segments = [_segment(segment, spaced=True) for segment in transcript.segments]
    if not segments:
        return ""
    # It refuses words that overlap, and would trim its own.
    words = [word for segment in segments for word in segment["words"]]
    for word, following in pairwise(words):
        word["end"] = max(word["start"], min(word["end"], following["start"]))
    made = {"segments": segments, "language": transcript.language}
    result = WhisperResult(made, check_sorted=False)
    return str(result.regroup(regroup).to_srt_vtt(word_level=False, vtt=False))


def writers(with_peers: bool) -> dict[str, Writer]:
    """Each by the name that the table gives it."""
    unlabelled = SubtitleOptions(speaker_labels=False)
    ours: dict[str, Writer] = {
        "this project": lambda transcript: render(transcript, "srt"),
        "the same, without labels": lambda transcript: render(transcript, "srt", unlabelled),
    }
    peers: dict[str, Writer] = {
        "whisperX": lambda transcript: whisperx(transcript, None, None),
        "whisperX, two lines of 42": lambda transcript: whisperx(transcript, 42, 2),
        "stable-ts (no labels)": lambda transcript: stable_ts(transcript, "da"),
        "stable-ts, 42 characters": lambda transcript: stable_ts(transcript, "da_sl=42"),
    }
    return ours | (peers if with_peers else {})


def table(transcripts: Sequence[Transcript], with_peers: bool) -> str:
    """What each writer does wrong, all recordings together."""
    rows = []
    for name, write in writers(with_peers).items():
        faults = sum((judge(read(write(one))) for one in transcripts), Faults())
        rows.append([name, *(str(getattr(faults, each.name)) for each in fields(faults))])
    return run.markdown_table(["", *HEAD.values()], rows)


def main() -> None:
    parser = argparse.ArgumentParser("subtitles", description=__doc__)
    parser.add_argument("recordings", nargs="*", default=[corpus.CONVERSATION])
    parser.add_argument("--peers", help="directory with whisperX and stable-ts")
    parser.add_argument("--show", action="store_true", help="print this project's SRT files too")
    options = parser.parse_args()
    if options.peers:
        # Last, for that directory holds nothing that replaces what is installed.
        sys.path.append(options.peers)
    try:
        clips = corpus.find_clips(options.recordings)
    except corpus.RecordingNotFoundError as error:
        sys.exit(f"error: {error}")
    pipeline = OurEndpoint().pipeline
    transcripts = [pipeline.run(Request(clip.content, InferenceConfig())) for clip in clips]
    for clip, transcript in zip(clips, transcripts, strict=True) if options.show else ():
        print(f"{clip.name}\n\n{render(transcript, 'srt')}")
    print(table(transcripts, with_peers=bool(options.peers)))


if __name__ == "__main__":
    main()
