"""Who spoke when: this project against pyannote.audio's own pipeline, same weights and files."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmarks.engines import System
from benchmarks.measured_process import Task, rounds, summary
from benchmarks.measures import diarization_error_rate
from benchmarks.section import Found, Options, Section, markdown_table, number
from benchmarks.sounds import sound
from speech_endpoint.transcript import SpeakerTurn

PROJECT = "this project"
PEER = "pyannote.audio, default"
SOUNDS = (
    "phone_call",
    "two_speakers",
    "three_speakers_overlap",
    "four_speakers",
    "ami_dev00",
    "ami_trn09",
    "ami_trn07",
)
LONG_SOUNDS = ("four_speakers_text", "long_five_speakers")
QUICK_SOUNDS = ("phone_call",)


def measure(options: Options) -> Found:
    """The section of the benchmark; pyannote's minutes are measured once."""
    sounds = (
        QUICK_SOUNDS if options.quick else SOUNDS + LONG_SOUNDS if options.everything else SOUNDS
    )
    systems = [System(PROJECT, "our diarizer"), System(PEER, "pyannote")]
    planned = [Task(system, sounds) for system in systems if options.wants(system.name)]
    runs = rounds(planned, options.repeats, options.threads, slow=[PEER])
    return {"systems": {name: summary(found, describe) for name, found in runs.items()}}


def describe(name: str, entries: Sequence[Found]) -> Found:
    """Turns and DER of the first round."""
    turns = entries[0]["turns"]
    return {"der": error_rate(name, turns), "speakers": len({turn["speaker"] for turn in turns})}


def error_rate(name: str, turns: Sequence[Found]) -> float | None:
    """DER without a collar; None where nobody wrote down who speaks."""
    recording = sound(name)
    heard = [SpeakerTurn(**turn) for turn in turns]
    return (
        diarization_error_rate(recording.turns, heard, recording.duration_s)
        if recording.turns
        else None
    )


def tables(found: Found) -> str:
    systems = found["systems"]
    names = list(dict.fromkeys(name for system in systems.values() for name in system["sounds"]))
    rows = [[name, f"{sound(name).duration_s:.0f}", *_cells(systems, name)] for name in names]
    both = [name for name in names if all(name in system["sounds"] for system in systems.values())]
    sums: list[str] = []
    for system in systems.values():
        seconds = sum(system["sounds"][name]["median_s"] for name in both)
        der = statistics.mean(system["sounds"][name]["der"] for name in both)
        sums += [
            number(seconds, 1),
            number(der, 3),
            "",
            number(max(e["peak_mb"] for e in system["sounds"].values()), 0),
        ]
    rows.append(
        ["**sum, mean, largest**", f"{sum(sound(name).duration_s for name in both):.0f}", *sums]
    )
    head = ["recording", "s"]
    for name in systems:
        head += [f"{name}: seconds", "DER", "speakers", "memory, MB"]
    return markdown_table(head, rows)


def _cells(systems: Found, name: str) -> list[str]:
    cells: list[str] = []
    for system in systems.values():
        entry = system["sounds"].get(name)
        if entry is None:
            cells += ["–"] * 4
        else:
            cells += [number(entry["median_s"]), number(entry["der"], 3), str(entry["speakers"])]
            cells.append(number(entry["peak_mb"], 0))
    return cells


SECTION = Section("diarization", "Who spoke when", measure, tables)
