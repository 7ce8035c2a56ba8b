"""`make accuracy`: who says what, how well: this project and its peers, on the same recordings and weights.

    python -m benchmarks.accuracy [--only NAME …] [--systems ours,original,best] [--precision float32 …] …

Where a recording begins decides where each of Whisper's windows lies, and whether a word, even a sentence, is heard:
one system differs by more between two beginnings than two systems at one. `--beginnings 10` hears each recording that
often, each time with 0.037 s of silence more before it, and tells the means; of words and errors, the sums.

What the peers hear is kept (`results/local/kept/`): only their first run is slow. `measures.py` defines every figure.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
import statistics
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import child, machine, measures, peers
from benchmarks.child import ASR_MODEL, DIARIZATION_MODEL, REPOSITORY
from benchmarks.engines import PRECISIONS, said_words
from benchmarks.measures import Answer, BorderErrors, WordErrors
from benchmarks.peers import write_json
from benchmarks.recordings import (
    CONVERSATION,
    DATA,
    NO_SPEECH,
    UTTERANCE,
    Recording,
    begun_earlier,
    find_recordings,
)
from speech_endpoint.transcript import Diarization, SpeakerTurn

RESULTS = Path(__file__).resolve().parent / "results"
ANSWERS = RESULTS / "local" / "answers"

WIDTH = 160
# The mean that the project is judged by; the meetings, far from the microphone, have one of their own.
TALKS = (
    "phone_call",
    "two_speakers",
    "four_speakers",
    "three_speakers_overlap",
    "long_five_speakers",
)
MEETINGS_PREFIX = "ami_"

OURS, ORIGINAL, BEST, SEQUENTIAL = "ours", "original", "best", "sequential"
DEFAULT_SYSTEMS = (OURS, ORIGINAL, BEST)
SYSTEMS = (*DEFAULT_SYSTEMS, SEQUENTIAL)
TOLD = "ours+n"
LEGEND = {
    OURS: "this project's handler",
    TOLD: "the same, told how many speakers there are",
    ORIGINAL: "huggingface.co/blog/asr-diarization: transformers' chunked pipeline, pyannote, nearest end of a chunk",
    BEST: "faster-whisper batched int8 with word times, pyannote's exclusive turns, largest overlap",
    SEQUENTIAL: "faster-whisper sequential int8 with word times, else like best",
}

# No multiple of any system's frame (0.01, 0.02 and 0.032 s).
BEGINNING_STEP_S = 0.037

NO_BORDERS = BorderErrors()

Respond = Callable[[Recording], Answer]
Design = Callable[[int, bool], Callable[[np.ndarray], Answer]]
"""Makes a peer, of the number of threads and whether it must hear everything again."""


# --- The systems


@dataclass(frozen=True)
class System:
    """A column of the tables; `load` makes it ready to answer."""

    name: str
    load: Callable[[], Respond]


class Ours:
    """The endpoint's handler, as the host calls it; the reference's number of speakers as a parameter or not."""

    def __init__(self, precision: str = "auto", given_speakers: bool = False) -> None:
        os.environ |= {"ASR_MODEL": ASR_MODEL, "DIARIZATION_MODEL": DIARIZATION_MODEL}
        os.environ |= {name.upper(): value for name, value in PRECISIONS[precision].items()}
        self.handler = _handler()
        self.diarizer = self.handler.diarizer
        self.handler.diarizer = self._diarize
        self.turns: tuple[SpeakerTurn, ...] = ()
        self.given_speakers = given_speakers

    def __call__(self, recording: Recording) -> Answer:
        self.turns = ()
        parameters: dict[str, Any] = {"return_timestamps": "word"}
        if self.given_speakers and recording.turns:
            parameters["num_speakers"] = len(recording.speakers)
        answer = self.handler({"inputs": recording.content, "parameters": parameters})
        return Answer(answer["text"], said_words(answer), self.turns)

    def _diarize(self, *audio: Any, **limits: Any) -> Diarization:
        """The handler's diarizer; its turns, which the answer only shows through words, are noted."""
        found: Diarization = self.diarizer(*audio, **limits)
        self.turns = found.turns
        return found


def _handler() -> Any:
    from handler import EndpointHandler

    return EndpointHandler(str(REPOSITORY))


def systems(options: argparse.Namespace) -> list[System]:
    """The columns that were asked for, this project's first."""
    found = []
    if OURS in options.systems:
        found.append(System(OURS, Ours))
        found += [System(f"{OURS} {name}", partial(Ours, name)) for name in options.precision]
        if options.num_speakers:
            found.append(System(TOLD, partial(Ours, given_speakers=True)))
    designs: dict[str, Design] = {
        ORIGINAL: peers.original_design,
        BEST: peers.best_practice,
        SEQUENTIAL: partial(peers.best_practice, mode="sequential"),
    }
    return found + [
        System(name, partial(peer, designs[name], options))
        for name in designs
        if name in options.systems
    ]


def peer(design: Design, options: argparse.Namespace) -> Respond:
    """A peer hears waveforms: files are decoded for it by this project."""
    respond = design(options.threads, options.fresh)
    return lambda recording: respond(recording.waveform)


# --- The scores


@dataclass(frozen=True)
class Scores:
    """The figures of one answer, or of several together; None and empty where the reference says nothing of it."""

    words: int = 0
    """Words in the text."""
    accuracy: float | None = None
    """Word speaker accuracy."""
    der: float | None = None
    der_quarter: float | None = None
    """DER that forgives a quarter of a second on either side of a border."""
    jer: float | None = None
    jer_quarter: float | None = None
    speakers: float | None = None
    """Speakers too many (or, negative, too few); of several answers the mean size of that."""
    spelling: WordErrors | None = None
    cp_wer: float | None = None
    tcp_wer: float | None = None
    starts: BorderErrors = NO_BORDERS
    ends: BorderErrors = NO_BORDERS

    def as_json(self) -> dict[str, Any]:
        """Everything as plain figures."""
        plain: dict[str, Any] = {
            name: value for name, value in vars(self).items() if isinstance(value, int | float)
        }
        if self.spelling is not None:
            plain |= {"wer": self.spelling.rate, **dataclasses.asdict(self.spelling)}
        for name, borders in (("starts", self.starts), ("ends", self.ends)):
            if borders.distances_s:
                bias = statistics.median(borders.distances_s)
                figures = {
                    "borders": len(borders.distances_s),
                    "median_s": borders.median_s,
                    "p95_s": borders.p95_s,
                }
                plain[name] = {**figures, "signed_median_s": bias}
        return plain


def score(recording: Recording, answer: Answer) -> Scores:
    """How well `answer` matches what is known of the recording."""
    found = Scores(words=measures.word_count(answer.text))
    if recording.transcript is not None:
        spelling = measures.word_errors(recording.transcript, answer.text, recording.language)
        found = dataclasses.replace(found, spelling=spelling)
    if recording.turns:
        found = dataclasses.replace(found, **_speaker_scores(recording, answer))
    if recording.segments:
        judged = recording.segments, answer.words, recording.language
        found = dataclasses.replace(
            found,
            cp_wer=measures.speaker_word_error_rate(*judged),
            tcp_wer=measures.timed_speaker_word_error_rate(*judged),
        )
    if recording.exact:
        starts = measures.start_errors(recording.turns, answer.words)
        found = dataclasses.replace(
            found, starts=starts, ends=measures.end_errors(recording.turns, answer.words)
        )
    return found


def _speaker_scores(recording: Recording, answer: Answer) -> dict[str, Any]:
    judged = recording.turns, answer.turns, recording.duration_s
    forgiving = measures.QUARTER_SECOND_EITHER_SIDE
    return {
        "accuracy": measures.word_speaker_accuracy(recording.turns, answer.words),
        "der": measures.diarization_error_rate(*judged),
        "der_quarter": measures.diarization_error_rate(*judged, forgiving),
        "jer": measures.jaccard_error_rate(*judged),
        "jer_quarter": measures.jaccard_error_rate(*judged, forgiving),
        "speakers": measures.speaker_count_error(recording.turns, answer.turns),
    }


def together(scores: Sequence[Scores]) -> Scores:
    """Words and errors added up, borders pooled, rates averaged over the answers that have them."""
    errors = [abs(one.speakers) for one in scores if one.speakers is not None]
    spelling = [one.spelling for one in scores if one.spelling is not None]

    def mean(name: str) -> float | None:
        values = [value for one in scores if (value := getattr(one, name)) is not None]
        return statistics.mean(values) if values else None

    return Scores(
        words=sum(one.words for one in scores),
        **{
            name: mean(name)
            for name in (
                "accuracy",
                "der",
                "der_quarter",
                "jer",
                "jer_quarter",
                "cp_wer",
                "tcp_wer",
            )
        },
        speakers=float(statistics.mean(errors)) if errors else None,
        spelling=reduce(add, spelling) if spelling else None,
        starts=reduce(add, (one.starts for one in scores), NO_BORDERS),
        ends=reduce(add, (one.ends for one in scores), NO_BORDERS),
    )


Row = dict[str, Scores]
"""Scores by system."""


# --- The tables


@dataclass(frozen=True)
class Column:
    """A measure: one column for each system."""

    title: str
    value: Callable[[Scores], float | None]
    form: str = ".3f"

    def cell(self, scores: Scores | None) -> str:
        value = None if scores is None else self.value(scores)
        if value is None:
            return "–"
        # A mean of whole numbers is none itself.
        return (
            f"{value:.2f}"
            if isinstance(value, float) and "d" in self.form
            else f"{value:{self.form}}"
        )


SPEAKERS = (
    Column("word speaker accuracy", lambda scores: scores.accuracy),
    Column("DER", lambda scores: scores.der),
    Column("DER ±0.25 s", lambda scores: scores.der_quarter),
    Column("JER", lambda scores: scores.jer),
    Column("JER ±0.25 s", lambda scores: scores.jer_quarter),
    Column("speakers ±", lambda scores: scores.speakers, "+d"),
)
SPELLING = (
    Column("WER", lambda scores: scores.spelling.rate if scores.spelling else None),
    Column("ins.", lambda scores: scores.spelling.insertions if scores.spelling else None, "d"),
    Column("del.", lambda scores: scores.spelling.deletions if scores.spelling else None, "d"),
    Column("sub.", lambda scores: scores.spelling.substitutions if scores.spelling else None, "d"),
    Column("cpWER", lambda scores: scores.cp_wer),
    Column("tcpWER, 5 s", lambda scores: scores.tcp_wer),
)
BORDERS = (
    Column("start, median s", lambda scores: scores.starts.median_s),
    Column("start, p95 s", lambda scores: scores.starts.p95_s),
    Column("end, median s", lambda scores: scores.ends.median_s),
    Column("end, p95 s", lambda scores: scores.ends.p95_s),
)
INVENTED = (Column("words", lambda scores: scores.words, "d"),)


@dataclass(frozen=True)
class Table:
    """A part of the report: rows by name, of which the last, in `sums`, are means and totals."""

    title: str
    columns: tuple[Column, ...]
    rows: dict[str, Row]
    sums: dict[str, Row]

    def text(self, names: Sequence[str]) -> str:
        """As many measures beside one another as fit in WIDTH; what does not fit comes below."""
        parts: list[list[Column]] = [[]]
        for column in self.columns:
            if parts[-1] and len(self._lines([*parts[-1], column], names)[0]) > WIDTH:
                parts.append([])
            parts[-1].append(column)
        return "\n\n".join([self.title, *("\n".join(self._lines(part, names)) for part in parts)])

    def _lines(self, columns: Sequence[Column], names: Sequence[str]) -> list[str]:
        labels = ["", "", *self.rows, *self.sums]
        width = max(map(len, labels))
        blocks = [
            _block(column, [*self.rows.values(), *self.sums.values()], names) for column in columns
        ]
        lines = [
            " | ".join([label.ljust(width), *cells])
            for label, *cells in zip(labels, *blocks, strict=True)
        ]
        rule = "-+-".join(["-" * width, *("-" * len(block[0]) for block in blocks)])
        last = 2 + len(self.rows)
        return [*lines[:2], rule, *lines[2:last], *([rule, *lines[last:]] if self.sums else [])]


def _block(column: Column, rows: Sequence[Row], names: Sequence[str]) -> list[str]:
    """A measure's cells, one for each system, under its title."""
    cells = [[column.cell(row.get(name)) for name in names] for row in rows]
    widths = [max(map(len, column_of)) for column_of in zip(names, *cells, strict=True)]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in (names, *cells)
    ]
    width = max(len(column.title), len(lines[0]))
    return [column.title.ljust(width), *(line.rjust(width) for line in lines)]


def report(recordings: Sequence[Recording], rows: Mapping[str, Row]) -> list[Table]:
    """The tables for what was scored."""
    kinds = {
        kind: [one for one in recordings if one.kind == kind]
        for kind in (CONVERSATION, UTTERANCE, NO_SPEECH)
    }
    talks = [one.name for one in kinds[CONVERSATION]]
    texts = {one.name: rows[one.name] for one in kinds[CONVERSATION] if one.transcript}
    if kinds[UTTERANCE]:
        texts[UTTERANCE] = together_by_system(rows[one.name] for one in kinds[UTTERANCE])
    exact = {one.name: rows[one.name] for one in kinds[CONVERSATION] if one.exact}
    invented = {one.name: rows[one.name] for one in kinds[NO_SPEECH]}
    means = {
        "mean of the five talks": [name for name in TALKS if name in talks]
        if set(TALKS) <= set(talks)
        else [],
        f"mean of {MEETINGS_PREFIX}*": [name for name in talks if name.startswith(MEETINGS_PREFIX)],
        "mean of all": talks,
    }
    sums = {
        title: together_by_system(rows[name] for name in names)
        for title, names in means.items()
        if names
    }
    tables = [
        Table("Who says what", SPEAKERS, {name: rows[name] for name in talks}, sums),
        Table(
            "What is said",
            SPELLING,
            texts,
            {"all": together_by_system(texts.values())},
        ),
        Table(
            "Words' times at the borders of turns",
            BORDERS,
            exact,
            {"all": together_by_system(exact.values())},
        ),
        Table(
            "Words heard where nobody speaks",
            INVENTED,
            invented,
            {"all": together_by_system(invented.values())},
        ),
    ]
    return [table for table in tables if table.rows]


def together_by_system(rows: Iterable[Row]) -> Row:
    listed = list(rows)
    names = dict.fromkeys(name for row in listed for name in row)
    return {name: together([row[name] for row in listed if name in row]) for name in names}


# --- The run


def answers(column: System, recordings: Sequence[Recording]) -> Iterator[tuple[Recording, Answer]]:
    """What a system answers to each recording; where it fails, that is said and the recording left out."""
    respond = column.load()
    for recording in recordings:
        started = time.perf_counter()
        after = f" after {recording.silence_s:.3f} s" if recording.silence_s else ""
        try:
            answer = respond(recording)
        except Exception as error:
            say(f"{column.name}: {recording.name}{after}: FAILED: {type(error).__name__}: {error}")
            continue
        seconds = time.perf_counter() - started
        say(
            f"{column.name}: {recording.name}{after} ({recording.duration_s:.0f} s): {seconds:.1f} s"
        )
        if not recording.silence_s:
            write_json(ANSWERS / column.name / f"{recording.name}.json", dataclasses.asdict(answer))
        yield recording, answer


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy", description="Who says what, how well."
    )
    parser.add_argument(
        "--data", type=Path, default=DATA, help="directory of recordings (default: %(default)s)"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="NAME",
        help="recordings, or conversations, edge, …",
    )
    parser.add_argument(
        "--systems", type=_listed, default=[*DEFAULT_SYSTEMS], help=f"of {','.join(SYSTEMS)}"
    )
    parser.add_argument(
        "--precision",
        nargs="+",
        default=[],
        choices=sorted(PRECISIONS),
        help="ours, also with these",
    )
    parser.add_argument(
        "--num-speakers", action="store_true", help="ours, also told how many speakers there are"
    )
    parser.add_argument(
        "--beginnings",
        type=int,
        default=1,
        metavar="N",
        help="hear each recording N times; see above",
    )
    parser.add_argument("--fresh", action="store_true", help="let the peers hear everything again")
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count() or 1, help="default: %(default)s"
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="JSON; default: results/accuracy.json, or results/local/ for a part",
    )
    return parser.parse_args(arguments)


def _listed(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(SYSTEMS):
        raise argparse.ArgumentTypeError(
            f"{', '.join(sorted(unknown))}: give some of {','.join(SYSTEMS)}"
        )
    return names


def main() -> int:
    options = parse()
    os.environ |= child.environment(options.threads)
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    recordings = find_recordings(options.data, options.only)
    columns = systems(options)
    silences = [n * BEGINNING_STEP_S for n in range(options.beginnings)]
    heard = [
        begun_earlier(recording, silence_s) for recording in recordings for silence_s in silences
    ]
    rows: dict[str, Row] = {recording.name: {} for recording in recordings}
    for column in columns:
        found: dict[str, list[Scores]] = defaultdict(list)
        for recording, answer in answers(column, heard):
            found[recording.name].append(score(recording, answer))
        for name, scores in found.items():
            # Fewer would not compare with those of another system.
            if len(scores) == options.beginnings:
                rows[name][column.name] = together(scores) if len(scores) > 1 else scores[0]
    tables = report(recordings, rows)
    for column in columns:
        print(f"{column.name}: {LEGEND.get(column.name, 'the same in that precision')}")
    if options.beginnings > 1:
        print(
            f"Each recording heard {options.beginnings} times: means, but sums of words and errors."
        )
    print()
    for table in tables:
        print(table.text([column.name for column in columns]), end="\n\n", flush=True)
    whole = (
        not options.only
        and set(options.systems) >= set(DEFAULT_SYSTEMS)
        and options.beginnings == 1
    )
    out = options.out or (RESULTS if whole else RESULTS / "local") / "accuracy.json"
    write_json(out, as_json(options, recordings, rows, tables))
    say(f"written: {out}")
    return 0 if all(len(row) == len(columns) for row in rows.values()) else 1


def as_json(
    options: argparse.Namespace,
    recordings: Sequence[Recording],
    rows: Mapping[str, Row],
    tables: Sequence[Table],
) -> dict[str, Any]:
    def plain(row: Row) -> dict[str, Any]:
        return {name: scores.as_json() for name, scores in row.items()}

    return {
        "machine": machine.describe(options.threads),
        "beginnings": options.beginnings,
        "recordings": {
            one.name: {
                "sha256": one.sha256,
                "duration_s": one.duration_s,
                "systems": plain(rows[one.name]),
            }
            for one in recordings
        },
        "sums": {
            table.title: {title: plain(row) for title, row in table.sums.items()}
            for table in tables
        },
    }


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RuntimeError as problem:
        sys.exit(f"error: {problem}")
