"""How time and memory grow with the length of the audio, from a minute to three hours."""

from __future__ import annotations

import statistics

import numpy as np

from benchmarks.engines import System
from benchmarks.measured_process import Task, rounds
from benchmarks.section import Found, Options, Section, markdown_table, number
from benchmarks.sounds import MINUTES

SPEECH = System("words", "ours")
SPEAKERS = System("words and speakers", "our request")
LENGTHS = (1, 3, 10, 30, 60, 180)
QUICK_LENGTHS = (1, 3)


def measure(options: Options) -> Found:
    """The section of the benchmark: every length in a process of its own, once."""
    lengths = QUICK_LENGTHS if options.quick else LENGTHS
    systems = [SPEECH, SPEAKERS] if options.speakers_too else [SPEECH]
    curves = {}
    for system in filter(lambda system: options.wants(system.name), systems):
        points = []
        for minutes in lengths:
            name = f"{MINUTES} {minutes}"
            runs = rounds([Task(system, (name,))], 1, options.threads)
            if system.name in runs:
                points.append(_point(minutes, runs[system.name][0]["sounds"][name]))
        if points:
            curves[system.name] = {"points": points, **fit(points)}
    return {"curves": curves}


def _point(minutes: float, entry: Found) -> Found:
    return {
        "minutes": minutes,
        "seconds": entry["seconds"],
        "seconds_per_minute": entry["seconds"] / minutes,
        "words": sum(len(text.split()) for text in entry["texts"]),
        "peak_mb": entry["rss_peak_mb"],
        "audio_mb": entry["audio_mb"],
        "grown_mb": entry["rss_peak_mb"] - entry["rss_before_mb"],
    }


def fit(points: list[Found]) -> Found:
    """The straight line through the longer half, where the fixed costs no longer show.

    `worst` is how far, relatively, a point of it lies from the mean of its seconds per minute: 0 is exactly linear.
    """
    longer = points[len(points) // 2 :]
    rates = [point["seconds_per_minute"] for point in longer]
    mean = statistics.mean(rates)
    minutes = [point["minutes"] for point in longer]
    memory = [point["peak_mb"] - point["audio_mb"] for point in longer]
    slope = float(np.polyfit(minutes, memory, 1)[0]) if len(longer) > 1 else 0.0
    return {
        "seconds_per_minute": mean,
        "worst": max(abs(rate / mean - 1) for rate in rates),
        "mb_per_minute": slope,
    }


def tables(found: Found) -> str:
    return "\n\n".join(_table(name, curve) for name, curve in found["curves"].items())


def _table(name: str, curve: Found) -> str:
    rows = [
        [
            str(point["minutes"]),
            number(point["seconds"], 1),
            number(point["seconds_per_minute"]),
            str(point["words"]),
            number(point["peak_mb"], 0),
            number(point["audio_mb"], 0),
            number(point["peak_mb"] - point["audio_mb"], 0),
            number(point["grown_mb"], 0),
        ]
        for point in curve["points"]
    ]
    head = [
        "minutes of audio",
        "seconds",
        "seconds per minute",
        "words",
        "peak memory, MB",
        "of it waveform and file",
    ]
    line = (
        f"The longer half: {curve['seconds_per_minute']:.2f} seconds per minute, no point more than "
        f"{curve['worst']:.0%} away; {curve['mb_per_minute']:.1f} MB per minute beside the audio."
    )
    return f"**{name}**\n\n{markdown_table([*head, 'the rest', 'grown while working'], rows)}\n\n{line}"


SECTION = Section("growth", "Growth with the length of the audio", measure, tables)
