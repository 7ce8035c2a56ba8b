"""Measure systems, each in a process of its own, so that its time and memory are its alone."""

from __future__ import annotations

import datetime
import logging
import os
import platform
import statistics
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from benchmarks import corpus
from benchmarks.corpus import Clip
from benchmarks.metrics import Hypothesis
from benchmarks.systems import Entry, System

LOCAL = corpus.REPOSITORY / "benchmarks" / "results" / "local"
MIB = 2**20
SAMPLE_MEMORY_EVERY_S = 0.02
PACKAGES = ("torch", "transformers", "faster-whisper", "ctranslate2", "pyannote.audio", "numpy")
# What decides which number formats are fast.
CPU_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
QUIET = {
    "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "PYANNOTE_METRICS_ENABLED": "0", "PYTHONWARNINGS": "ignore", "TQDM_DISABLE": "1",
}  # fmt: skip


@dataclass(frozen=True)
class Task:
    """What one process does."""

    entry: Entry
    names: Sequence[str]
    """As `corpus.load` takes them."""
    warm_up: str | None = "phone_call"
    offsets_s: Sequence[float] = (0.0,)
    """Every recording is heard after each of these seconds of silence."""


@dataclass(frozen=True)
class Result:
    """What a system made of a recording, or of several taken as one, and what that took."""

    seconds: list[float]
    """Of each round."""
    duration_s: float
    hypotheses: list[Hypothesis]
    """Of the first round, one for each clip."""
    peak_mb: float
    """The largest resident set of the process."""
    audio_mb: float
    """Of it the audio: the file and its waveform."""

    @property
    def median_s(self) -> float:
        return statistics.median(self.seconds)


Results = dict[str, dict[str, Result]]
"""By system and recording."""


def measure(tasks: Sequence[Task], rounds: int, threads: int) -> Results:
    """Do every task `rounds` times, slow ones once.

    The systems take turns, so that a busy minute of the machine meets all alike. One that fails is
    left out, and standard error says so.
    """
    logging.disable(logging.WARNING)
    os.environ |= QUIET | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    runs: dict[str, list[dict[str, Result]]] = defaultdict(list)
    for n in range(rounds):
        for task in tasks:
            name = task.entry.name
            if n and (task.entry.is_slow or name not in runs):
                continue
            try:
                with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                    found = pool.submit(_measure, task, threads).result()
            except Exception as error:
                say(f"   {name}: FAILED: {type(error).__name__}: {error}")
                continue
            runs[name].append(found)
            say(f"   {name}: " + ", ".join(f"{k} {v.median_s:.1f} s" for k, v in found.items()))
    return {
        name: {clip: _merge([found[clip] for found in rounds_of]) for clip in rounds_of[0]}
        for name, rounds_of in runs.items()
    }


def _merge(rounds: Sequence[Result]) -> Result:
    seconds = [seconds for one in rounds for seconds in one.seconds]
    return replace(rounds[0], seconds=seconds, peak_mb=max(one.peak_mb for one in rounds))


def _measure(task: Task, threads: int) -> dict[str, Result]:
    """In the process of its own: load the system, warm it up, let it hear every recording."""
    logging.disable(logging.WARNING)
    system = task.entry.make()
    if "torch" in sys.modules:
        # Last: libraries set it when they are imported.
        sys.modules["torch"].set_num_threads(threads)
    for clip in corpus.load(task.warm_up) if task.warm_up else []:
        system(clip)
    return {name: _time(system, task, corpus.load(name)) for name in task.names}


def _time(system: System, task: Task, originals: Sequence[Clip]) -> Result:
    clips = [clip.delayed(offset_s) for clip in originals for offset_s in task.offsets_s]
    if not task.entry.takes_file:
        # Off the clock; clips keep their waveforms.
        _ = [clip.waveform for clip in clips]
    with _watched_memory() as sizes_mb:
        started = time.perf_counter()
        hypotheses = [system(clip) for clip in clips]
        seconds = time.perf_counter() - started
    audio_mb = sum(len(clip.content) + clip.waveform.nbytes for clip in clips) / MIB
    duration_s = sum(clip.duration_s for clip in clips)
    return Result([seconds], duration_s, hypotheses, max(sizes_mb), audio_mb)


@contextmanager
def _watched_memory() -> Iterator[list[float]]:
    """Resident sets of this process, MiB, for as long as it is watched."""
    process, done = psutil.Process(), threading.Event()
    sizes_mb = [process.memory_info().rss / MIB]

    def watch() -> None:
        while not done.wait(SAMPLE_MEMORY_EVERY_S):
            sizes_mb.append(process.memory_info().rss / MIB)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield sizes_mb
    finally:
        done.set()
        thread.join()


def say(line: str) -> None:
    """Tell how far it is; standard output is for tables."""
    print(line, file=sys.stderr, flush=True)


def describe_machine(threads: int) -> str:
    """CPU, memory, versions and the time: the line above the tables."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().split("\n\n")[0].splitlines() if path.is_file() else []
    facts = {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)
    }
    cpu = facts.get("model name", platform.processor() or platform.machine())
    flags = ", ".join(flag for flag in CPU_FLAGS if flag in facts.get("flags", "").split())
    memory_gb = psutil.virtual_memory().total / 1e9
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{cpu} ({flags}), {os.cpu_count()} cores, {threads} threads, {memory_gb:.1f} GB; "
        f"Python {platform.python_version()}, {packages}; {datetime.date.today()}."
    )


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The first column to the left, the others to the right."""
    lines = [f"| {' | '.join(head)} |", f"| --- |{' ---: |' * (len(head) - 1)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def publish(page: Sequence[str], path: Path) -> None:
    """Print the parts of a page, and keep it."""
    text = "\n\n".join(page) + "\n"
    print(text)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    say(f"written: {path}")
