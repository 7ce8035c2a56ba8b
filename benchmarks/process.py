"""How old a process is and how much memory it has; how much the machine has left."""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]

MIB = 2**20
# How often the memory is looked at while it is watched, seconds.
LOOK_EVERY_S = 0.02
# Of the fields of /proc/PID/stat after the command: when it was started, clock ticks since the machine was.
STARTED = 19


def age_s() -> float:
    """Seconds since this process was started, by a clock that is never set."""
    started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[STARTED])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK")


def rss_mb(process_id: int | None = None) -> float:
    """The resident set of a process, of this one by default, MiB."""
    return float(psutil.Process(process_id).memory_info().rss) / MIB


def peak_mb() -> float:
    """The largest resident set of this process since it began, loading included, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def machine_memory_gb() -> float:
    return float(psutil.virtual_memory().total) / 1e9


def free_memory_gb() -> float:
    """What can be had without swapping, GB."""
    return float(psutil.virtual_memory().available) / 1e9


class PeakMemory:
    """The largest resident set of this process while it is watched."""

    def __init__(self) -> None:
        self.before_mb = self.highest_mb = rss_mb()

    @contextmanager
    def watched(self) -> Iterator[None]:
        done = threading.Event()

        def watch() -> None:
            while not done.wait(LOOK_EVERY_S):
                self.highest_mb = max(self.highest_mb, rss_mb())

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            self.highest_mb = max(self.highest_mb, rss_mb())
