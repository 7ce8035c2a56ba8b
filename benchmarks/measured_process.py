"""One system in a process of its own: loaded, warmed up, then timed on recordings.

    python -m benchmarks.measured_process '{"system": {…}, "sounds": ["phone_call"], "threads": 2}'

Whatever a system keeps, it keeps to itself, and the process's peak memory is the system's.
"""

from __future__ import annotations

import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks import child
from benchmarks.engines import ENGINES, Engine, Heard, System
from benchmarks.process import MIB, PeakMemory, age_s, peak_mb
from benchmarks.section import Found
from benchmarks.sounds import sound

# Of `Transcription.figures`: what cannot be added up.
RATES = frozenset({"acceptance_rate", "tokens_per_step"})


@dataclass(frozen=True)
class Task:
    """What one process measures."""

    system: System
    sounds: tuple[str, ...]
    warm_up: str | None = "phone_call"

    def run(self, threads: int) -> Found:
        """Measure it in a new process; see `measure` for what it returns."""
        return child.call(
            "benchmarks.measured_process", asdict(self) | {"threads": threads}, threads
        )


def load(system: System, threads: int) -> Engine:
    """The system, ready, with `threads` from now on."""
    options = dict(system.options)
    if system.engine in ("faster-whisper", "peers' request"):
        options["threads"] = threads
    engine = ENGINES[system.engine](**options)
    import torch

    # Last: libraries set it when they are imported.
    torch.set_num_threads(threads)
    return engine


def time_sound(engine: Engine, name: str) -> Found:
    """Let the engine hear a recording once."""
    recording = sound(name)
    duration_s = recording.duration_s
    waveform_mb = sum(part.nbytes for part in recording.parts) / MIB
    prepared = [engine.prepare(part) for part in recording.parts]
    payload_mb = sum(len(one) for one in prepared if isinstance(one, bytes)) / MIB
    # Who is given a file makes a waveform of it, which is then the only one.
    del recording
    memory = PeakMemory()
    heard: list[Heard] = []
    with memory.watched():
        started = time.perf_counter()
        heard += [engine(part) for part in prepared]
        seconds = time.perf_counter() - started
    return {
        "seconds": seconds,
        "duration_s": duration_s,
        "texts": [one.text for one in heard],
        "words": [asdict(word) for one in heard for word in one.words],
        "turns": [asdict(turn) for one in heard for turn in one.turns],
        "figures": combined([one.figures for one in heard]),
        "rss_before_mb": memory.before_mb,
        "rss_peak_mb": memory.highest_mb,
        "audio_mb": waveform_mb + payload_mb,
    }


def combined(figures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """What a system says of its calls, as if they had been one: sums, but means of rates."""
    found = {}
    for name in dict.fromkeys(name for one in figures for name in one):
        values = [one[name] for one in figures if name in one]
        found[name] = sum(values) / (len(values) if name in RATES else 1)
    return found


def measure(task: Mapping[str, Any]) -> Found:
    """Do a `Task` in this process: how long until it was ready, and per sound what `time_sound` returns."""
    system = System(**task["system"])
    engine = load(system, task["threads"])
    ready_s = age_s()
    ready_mb = peak_mb()
    if task["warm_up"]:
        engine(engine.prepare(sound(task["warm_up"]).parts[0]))
    found = {name: time_sound(engine, name) for name in task["sounds"]}
    return {"system": system.name, "ready_s": ready_s, "ready_peak_mb": ready_mb, "sounds": found}


def rounds(
    tasks: Sequence[Task], repeats: int, threads: int, slow: Iterable[str] = ()
) -> dict[str, list[Found]]:
    """Every task `repeats` times, in turns, so that a busy minute of the machine meets all alike; `slow` systems once.

    A system that fails is left out, and said so.
    """
    once = set(slow)
    found: dict[str, list[Found]] = defaultdict(list)
    for n in range(repeats):
        for task in tasks:
            if n and task.system.name in once:
                continue
            try:
                found[task.system.name].append(task.run(threads))
            except RuntimeError as error:
                print(f"   {task.system.name}: {error}", flush=True)
                continue
            _report(n, task, found[task.system.name][-1])
    return dict(found)


def summary(runs: Sequence[Found], describe: Callable[[str, Sequence[Found]], Found]) -> Found:
    """Rounds of one system as one: medians of the times, the largest memory, and what `describe` adds to a sound.

    `describe` is given a sound's name and its entries of all rounds.
    """
    sounds = {}
    for name, first in runs[0]["sounds"].items():
        entries = [run["sounds"][name] for run in runs]
        seconds = [entry["seconds"] for entry in entries]
        median_s = statistics.median(seconds)
        sounds[name] = {
            "seconds": seconds,
            "median_s": median_s,
            "rtf": median_s / first["duration_s"],
            "peak_mb": max(entry["rss_peak_mb"] for entry in entries),
            **describe(name, entries),
        }
    return {"ready_s": statistics.median(run["ready_s"] for run in runs), "sounds": sounds}


def _report(n: int, task: Task, result: Found) -> None:
    seconds = ", ".join(
        f"{name} {entry['seconds']:.1f} s" for name, entry in result["sounds"].items()
    )
    print(
        f"   round {n + 1}: {task.system.name}: ready in {result['ready_s']:.1f} s; {seconds}",
        flush=True,
    )


if __name__ == "__main__":
    os.environ.setdefault("PYANNOTE_METRICS_ENABLED", "0")
    child.answer(measure(child.task()))
