"""Hands inputs to a target and watches it: time, memory, descriptors, threads, processes, death."""

from __future__ import annotations

import hashlib
import multiprocessing
import pickle
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tools.fuzz.bait import Canary
from tools.fuzz.target import Reply, Target, memory_mb, serve

POLL_S = 0.02
START_S = 120.0
WARM_UP_INPUTS = 50
"""After so many, descriptors, threads and memory have reached what they stay at."""
DEEPEST = 100_000
DEAD = Reply("", "", 0.0, 0.0, 0, 0)


@dataclass(frozen=True)
class Bounds:
    """What an input may take."""

    max_s: float = 30.0
    max_grown_mb: float = 256.0
    """Beside three times the input and the longest recording's samples."""
    max_audio_s: float = 60.0

    def grown_mb(self, size_bytes: int) -> float:
        return self.max_grown_mb + 3 * size_bytes / 2**20 + self.max_audio_s * 0.064


@dataclass(frozen=True)
class Finding:
    """An input that did what none may do."""

    what: str
    detail: str
    file: Path


@dataclass
class Tally:
    """What a run saw."""

    inputs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    most_grown_mb: float = 0.0
    most_child_mb: float = 0.0
    warm: Reply = DEAD
    last: Reply = DEAD
    warm_mb: float = 0.0
    last_mb: float = 0.0
    n_children: int = 0
    findings: list[Finding] = field(default_factory=list)


class Watch:
    """A target in a process of its own, begun again when it dies or hangs."""

    def __init__(
        self,
        make_target: Callable[[float], Target],
        bait: Canary,
        bounds: Bounds,
        findings: Path,
    ) -> None:
        """
        Args:
            make_target: makes the target, in its process, for the longest recording allowed.
            bait: the canary; the target's working directory is that of its file.
            bounds: what an input may take.
            findings: the directory in which the inputs of findings are left.
        """
        self.make_target, self.bait, self.bounds = make_target, bait, bounds
        self.directory = findings
        self.tally = Tally()
        self._start()

    def ask(self, inputs: Any) -> Reply:
        """Give the target an input, and note what comes of it."""
        message = pickled(inputs)
        started = time.monotonic()
        reply = self._answer(message, started)
        seconds = time.monotonic() - started
        problems = [] if reply.outcome.startswith(("served", "refused")) else [reply.outcome]
        if seconds > self.bounds.max_s:
            problems.append(f"took {seconds:.0f} s")
        if reply.grown_mb > self.bounds.grown_mb(len(message)):
            problems.append(f"took {reply.grown_mb:.0f} MB")
        if touched := self.bait.touched():
            problems.append("; ".join(touched))
        self._count(reply, seconds)
        for problem in problems:
            self._keep(problem, reply.detail, message)
        return replace(reply, outcome=problems[0]) if problems else reply

    def close(self) -> None:
        self._connection.close()
        self._process.join(5)
        self._process.kill()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        arguments = (theirs, self.make_target, str(self.bait.directory), self.bounds.max_audio_s)
        self._process = context.Process(target=serve, args=arguments, daemon=False)
        self._process.start()
        theirs.close()
        if not self._connection.poll(START_S):
            raise TimeoutError(f"the target did not start within {START_S:.0f} s")
        self._connection.recv()
        self._since_start = 0

    def _answer(self, message: bytes, started: float) -> Reply:
        """The target's reply; one of its own if it dies or takes twice the time."""
        try:
            self._connection.send_bytes(message)
            while not self._connection.poll(POLL_S):
                self._look_at_children()
                if time.monotonic() - started > 2 * self.bounds.max_s:
                    self._restart()
                    return replace(DEAD, outcome="hang")
            reply: Reply = self._connection.recv()
            return reply
        except (EOFError, OSError):
            self._process.join(5)
            code = self._process.exitcode
            self._restart()
            return replace(DEAD, outcome=f"crash: the process ended with {code}")

    def _restart(self) -> None:
        self._process.kill()
        self._process.join()
        self._connection.close()
        self._start()

    def _look_at_children(self) -> None:
        children = descendants(self._process.pid or 0)
        self.tally.n_children = max(self.tally.n_children, len(children))
        for child in children:
            self.tally.most_child_mb = max(self.tally.most_child_mb, memory_mb(child, "VmHWM"))

    def _count(self, reply: Reply, seconds: float) -> None:
        tally = self.tally
        tally.inputs += 1
        self._since_start += 1
        tally.outcomes[reply.outcome] += 1
        tally.slowest_s = max(tally.slowest_s, seconds)
        tally.most_grown_mb = max(tally.most_grown_mb, reply.grown_mb)
        if reply.n_descriptors:
            tally.last, tally.last_mb = reply, memory_mb(self._process.pid or 0, "VmRSS")
            if self._since_start <= WARM_UP_INPUTS:
                tally.warm, tally.warm_mb = tally.last, tally.last_mb

    def _keep(self, problem: str, detail: str, message: bytes) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        file = self.directory / f"{hashlib.sha256(message).hexdigest()[:16]}.pickle"
        file.write_bytes(message)
        self.tally.findings.append(Finding(problem, detail, file))


@contextmanager
def watched(
    make_target: Callable[[float], Target], bait: Canary, bounds: Bounds, findings: Path
) -> Iterator[Watch]:
    """A Watch that is closed in the end; see there."""
    watch = Watch(make_target, bait, bounds, findings)
    try:
        yield watch
    finally:
        watch.close()


def pickled(inputs: Any) -> bytes:
    """An input as a message. A thousand nested lists are too deep for Python's own limit."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(DEEPEST)
    try:
        return pickle.dumps(inputs)
    finally:
        sys.setrecursionlimit(limit)


def descendants(process: int) -> list[int]:
    """The running processes that another started, itself or through others."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(fields[1])
    found = [process]
    for ancestor in found:
        found += [child for child, parent in parents.items() if parent == ancestor]
    return found[1:]
