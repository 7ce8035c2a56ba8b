"""Throws thousands of damaged, forged and hostile inputs at the endpoint; see SECURITY.md.

    python -m tools.fuzz --files 5000 --requests 20000 --seed 1

Ends with 1 if anything did what no input may do, and leaves those inputs in build/fuzz.
"""

from __future__ import annotations

import argparse
import logging
import pickle
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import hypothesis

from tools.fuzz import target
from tools.fuzz.bait import Canary, canary
from tools.fuzz.hostile import hostile
from tools.fuzz.mutations import mutate
from tools.fuzz.requests import requests
from tools.fuzz.seeds import REPOSITORY, corpus
from tools.fuzz.watch import Bounds, Tally, Watch, watched

FINDINGS = REPOSITORY / "build" / "fuzz"
HOSTILE_SHARE = 4
"""One file in so many is hostile by design; the others are damaged."""
BATCH = 500
"""Requests that hypothesis draws at once; it remembers all that it has drawn."""
FIRST_NUMBERS_APART = 10**6
"""Between the numbers that two seeds begin at."""
DECODING = Bounds(max_audio_s=600.0)
# Whisper's own memory comes on top; short recordings, so that no good answer takes long.
REQUESTS = Bounds(max_audio_s=20.0, max_grown_mb=768.0)


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--files", type=int, default=5_000, help="files for the decoder alone")
    parser.add_argument("--requests", type=int, default=20_000, help="whole requests")
    parser.add_argument("--seed", type=int, default=1, help="the same inputs for the same seed")
    parser.add_argument("--recordings", type=Path, help="a directory of more files to begin from")
    parser.add_argument("--replay", type=Path, help="only a finding's file, with the log shown")
    wishes = parser.parse_args(arguments)
    if wishes.replay:
        return replay(wishes.replay)
    files = corpus(wishes.recordings)
    findings = 0
    with canary(files[0]) as bait:
        if wishes.files:
            with watched(target.decoding, bait, DECODING, FINDINGS) as watch:
                fuzz_files(watch, files, wishes.files, wishes.seed)
            findings += report("files", watch.tally, wishes.seed)
        if wishes.requests:
            with watched(target.requests, bait, REQUESTS, FINDINGS) as watch:
                fuzz_requests(watch, files, wishes.requests, wishes.seed)
            findings += report("requests", watch.tally, wishes.seed)
    return int(findings > 0)


def replay(file: Path) -> int:
    """Give one input to what it was found with, in this process."""
    logging.basicConfig()
    inputs = pickle.loads(file.read_bytes())
    of_file = isinstance(inputs, bytes)
    make_target, bounds = (target.decoding, DECODING) if of_file else (target.requests, REQUESTS)
    reply = target.try_input(make_target(bounds.max_audio_s), inputs)
    print(f"{reply.outcome}\n{reply.detail}")
    return int(not reply.outcome.startswith(("served", "refused")))


def fuzz_files(watch: Watch, files: Sequence[bytes], number: int, seed: int) -> None:
    """Give the decoder so many files."""
    for payload in damaged_and_hostile(files, watch.bait, number, seed):
        watch.ask(payload)


def fuzz_requests(watch: Watch, files: Sequence[bytes], number: int, seed: int) -> None:
    """Give the endpoint so many requests."""
    for first in range(0, number, BATCH):
        _ask_requests(watch, files, min(BATCH, number - first), seed * FIRST_NUMBERS_APART + first)


def damaged_and_hostile(
    files: Sequence[bytes], bait: Canary, number: int, seed: int
) -> Iterator[bytes]:
    """Files: the corpus as it is, which must be served, then what was made of it."""
    yield from files[:number]
    first = seed * FIRST_NUMBERS_APART
    for n in range(first, first + number - len(files)):
        yield hostile(bait, n) if n % HOSTILE_SHARE == 0 else mutate(files, n)


def _ask_requests(watch: Watch, files: Sequence[bytes], number: int, seed: int) -> None:
    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=number,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(requests(files, watch.bait))
    def ask(data: Any) -> None:
        watch.ask(data)

    ask()


def report(name: str, tally: Tally, seed: int) -> int:
    """Print a run; gives the number of findings."""
    print(f"\n{name}, seed {seed}")
    print("\n".join(summary(tally)), flush=True)
    return len(tally.findings)


def summary(tally: Tally) -> list[str]:
    """A run in lines: what came of the inputs, what they took, and what was found."""
    warm, last = tally.warm, tally.last
    lines = [f"  {tally.inputs:7,} inputs"]
    lines += [f"  {count:7,} {outcome}" for outcome, count in tally.outcomes.most_common()]
    lines += [
        f"  slowest {tally.slowest_s:.2f} s; memory: + {tally.most_grown_mb:.0f} MB at most, "
        f"a child {tally.most_child_mb:.0f} MB",
        f"  descriptors {warm.n_descriptors} -> {last.n_descriptors}, threads {warm.n_threads} -> "
        f"{last.n_threads}, memory {tally.warm_mb:.0f} -> {tally.last_mb:.0f} MB; "
        f"children at once: {tally.n_children}",
        f"  findings: {len(tally.findings)}",
    ]
    for finding in tally.findings[:40]:
        lines += [f"    {finding.what}: {finding.file}"]
        lines += [f"      {line}" for line in finding.detail.strip().splitlines()[-3:]]
    return lines


if __name__ == "__main__":
    sys.exit(main())
