"""Measure systems, each in a process of its own, so that its time and memory are its alone."""

from __future__ import annotations

import argparse
import datetime
import logging
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks import corpus
from benchmarks.metrics import Hypothesis
from benchmarks.systems import PRECISIONS, Entry

LOCAL = corpus.REPOSITORY / "benchmarks" / "results" / "local"
WARM_UP = "phone_call"
PACKAGES = ("torch", "transformers", "faster-whisper", "ctranslate2", "pyannote.audio", "numpy")
# What decides which number formats are fast.
CPU_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
QUIET = {
    "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "PYANNOTE_METRICS_ENABLED": "0", "PYTHONWARNINGS": "ignore", "TQDM_DISABLE": "1",
}  # fmt: skip


def parser(program: str, description: str | None, out: str) -> argparse.ArgumentParser:
    """With the options that all benchmarks have."""
    formatter = argparse.ArgumentDefaultsHelpFormatter
    made = argparse.ArgumentParser(program, description=description, formatter_class=formatter)
    add = made.add_argument
    add("--systems", nargs="+", metavar="TEXT", default=[""], help="with one of these in the name")
    add("--slow", action="store_true", help="slow ones too")
    add("--precision", nargs="+", choices=PRECISIONS, default=["auto"], help="formats of ours")
    add("--recordings", nargs="+", metavar="NAME", default=[], help="instead of the usual ones")
    add("--threads", type=int, default=2, help="of every system")
    add("--out", type=Path, default=LOCAL / out, help="the report")
    return made


def is_wanted(name: str, options: argparse.Namespace, *, is_slow: bool = False) -> bool:
    """Whether the options ask for a system."""
    asked = any(part.lower() in name.lower() for part in options.systems)
    return asked and (options.slow or not is_slow)


@dataclass(frozen=True)
class Result:
    """What a system made of a recording, or of several taken as one, and what that took."""

    seconds: list[float]
    """Of each round."""
    is_warm: bool
    """Whether the system had heard something before."""
    duration_s: float
    hypotheses: list[Hypothesis]
    """Of the first round, one for each clip."""
    peak_mib: float
    """The largest resident set of its process meanwhile: Python, libraries, models and audio."""

    @property
    def median_s(self) -> float:
        return statistics.median(self.seconds)

    @property
    def rounds(self) -> str:
        """For a table."""
        return f"{len(self.seconds)}{'' if self.is_warm else ' (cold)'}"


Results = dict[str, dict[str, Result]]
"""By system and recording."""


@dataclass
class Runner:
    """Measures, and remembers what could be measured and what failed."""

    threads: int
    rounds: int = 1
    measured: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def measure(
        self,
        entries: Iterable[Entry],
        names: Sequence[str],
        warm_up: str | None = WARM_UP,
        offsets_s: Sequence[float] = (0.0,),
    ) -> Results:
        """Let every system hear all recordings, `rounds` times; leave out those that fail.

        The systems take turns, so that a busy minute of the machine meets all alike. Slow ones have
        one round, cold, which is a second at most.

        Args:
            names: recordings, as `corpus.load` takes them.
            warm_up: what each system hears before.
            offsets_s: every recording is heard after each of these seconds of silence.
        """
        logging.disable(logging.WARNING)
        n_threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(self.threads))
        os.environ |= QUIET | n_threads
        rounds: dict[str, list[dict[str, Result]]] = {}
        for n, entry in product(range(self.rounds), [*entries]):
            if n == 0 or (entry.name in rounds and not entry.is_slow):
                how = None if entry.is_slow else warm_up, offsets_s, self.threads
                if found := self._try(entry, names, *how):
                    rounds.setdefault(entry.name, []).append(found)
        return {
            system: {name: _merge([found[name] for found in each]) for name in names}
            for system, each in rounds.items()
        }

    def _try(self, entry: Entry, *how: Any) -> dict[str, Result]:
        """In a process of its own; nothing where it fails."""
        try:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                found = pool.submit(_hear, entry, *how).result()
        except Exception as error:
            say(f"   {entry.name}: FAILED: {type(error).__name__}: {error}")
            self.failed.append(entry.name)
            return {}
        seconds = (f"{name} {result.median_s:.1f} s" for name, result in found.items())
        say(f"   {entry.name}: {', '.join(seconds)}")
        self.measured.append(entry.name)
        return found

    def finish(self) -> None:
        """End the program with an error where a system failed or there was none."""
        if self.failed:
            sys.exit(f"error: failed, see above: {', '.join(dict.fromkeys(self.failed))}")
        if not self.measured:
            sys.exit("error: no system has such a name, or only one that needs --slow")


def _merge(rounds: Sequence[Result]) -> Result:
    seconds = [seconds for one in rounds for seconds in one.seconds]
    return replace(rounds[0], seconds=seconds, peak_mib=max(one.peak_mib for one in rounds))


def _hear(
    entry: Entry,
    names: Sequence[str],
    warm_up: str | None,
    offsets_s: Sequence[float],
    threads: int,
) -> dict[str, Result]:
    """In the process of its own: load the system, warm it up, let it hear every recording."""
    logging.disable(logging.WARNING)
    system = entry.make()
    if "torch" in sys.modules:
        # Last: libraries set it when they are imported.
        sys.modules["torch"].set_num_threads(threads)
    for clip in corpus.load(warm_up) if warm_up else []:
        system(clip)
    results = {}
    for name in names:
        clips = [clip.delayed(offset_s) for clip in corpus.load(name) for offset_s in offsets_s]
        # Off the clock; clips keep what they have read.
        _ = [clip.content if entry.takes_file else clip.waveform for clip in clips]
        _peak_mib()
        started = time.perf_counter()
        hypotheses = [system(clip) for clip in clips]
        seconds, peak_mib = time.perf_counter() - started, _peak_mib()
        duration_s = sum(clip.duration_s for clip in clips)
        results[name] = Result([seconds], warm_up is not None, duration_s, hypotheses, peak_mib)
    return results


def _peak_mib() -> float:
    """The largest resident set of this process since it was last asked for; NaN but on Linux."""
    try:
        kib = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        # See proc_pid_clear_refs(5).
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return float("nan")
    return int(kib[0]) / 1024


def say(line: str) -> None:
    """Tell how far it is; standard output is for tables."""
    print(line, file=sys.stderr, flush=True)


def describe_machine(threads: int) -> str:
    """CPU, memory, versions and the time: the line above the tables."""
    path = Path("/proc/cpuinfo")
    facts = dict(re.findall(r"(\S.*?)\s*: (.*)", path.read_text() if path.is_file() else ""))
    cpu = facts.get("model name", platform.processor() or platform.machine())
    flags = ", ".join(flag for flag in CPU_FLAGS if flag in facts.get("flags", "").split())
    memory_gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{cpu} ({flags}), {os.cpu_count()} cores, {threads} threads, {memory_gib:.1f} GiB; "
        f"Python {platform.python_version()}, {packages}; {datetime.date.today()}."
    )


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The first column to the left, the others to the right."""
    lines = [f"| {' | '.join(head)} |", f"| --- |{' ---: |' * (len(head) - 1)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def publish(path: Path, *parts: str, mode: str = "a") -> None:
    """Print parts of a page, and keep them at once: what fails later loses nothing."""
    text = "".join(f"{part.strip()}\n\n" for part in parts)
    print(text, end="", flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open(mode, encoding="utf-8") as page:
        page.write(text)
