"""The fuzzer sees what it looks for, and finds nothing in the endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from faulty import faulty

from tools.fuzz import target
from tools.fuzz.__main__ import (
    DECODING,
    REQUESTS,
    damaged_and_hostile,
    fuzz_files,
    fuzz_requests,
    summary,
)
from tools.fuzz.bait import Canary, canary
from tools.fuzz.seeds import corpus
from tools.fuzz.watch import Bounds, Watch, watched

SEED = 7
N_FILES, N_REQUESTS = 300, 300


@pytest.fixture(scope="module")
def files() -> list[bytes]:
    return corpus()


@pytest.fixture
def bait(files: list[bytes]) -> Iterator[Canary]:
    with canary(files[0]) as bait:
        yield bait


@pytest.fixture
def watch(bait: Canary, tmp_path: Path) -> Iterator[Watch]:
    bounds = Bounds(max_s=1.0, max_grown_mb=32.0, max_audio_s=1.0)
    with watched(faulty, bait, bounds, tmp_path) as watch:
        yield watch


@pytest.mark.pure
@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("die", "crash: the process ended with -11"),
        ("hang", "hang"),
        ("raise", "crash: KeyError"),
        ("grow", "took 64 MB"),
    ],
)
def test_a_fault_is_found_and_its_input_kept(
    watch: Watch, fault: str, outcome: str, tmp_path: Path
) -> None:
    assert watch.ask("behave").outcome == "served"
    assert watch.ask(fault).outcome == outcome
    assert watch.ask("behave").outcome == "served"
    assert watch.tally.findings[0].what == outcome
    assert len(list(tmp_path.glob("*.pickle"))) == 1


@pytest.mark.pure
def test_whoever_touches_the_canary_is_found(watch: Watch, bait: Canary) -> None:
    assert "file was opened" in watch.ask(("read", bait.file.name)).outcome
    assert "TCP port was called" in watch.ask(("call", bait.tcp_port)).outcome
    assert watch.ask("behave").outcome == "served"


@pytest.mark.pure
def test_a_seed_gives_the_same_files_again(files: list[bytes], bait: Canary) -> None:
    first, again, other = (
        list(damaged_and_hostile(files, bait, 200, seed))[len(files) :] for seed in (1, 1, 2)
    )
    assert first == again != other
    assert len(set(first)) > 0.9 * len(first)


def test_no_file_does_harm(files: list[bytes], bait: Canary, tmp_path: Path) -> None:
    with watched(target.decoding, bait, DECODING, tmp_path) as watch:
        fuzz_files(watch, files, N_FILES, SEED)
    assert not watch.tally.findings, "\n".join(summary(watch.tally))
    assert watch.tally.outcomes["served"] > len(files) / 2
    assert watch.tally.last.n_descriptors <= watch.tally.warm.n_descriptors
    assert watch.tally.last.n_threads <= watch.tally.warm.n_threads


def test_no_request_does_harm(files: list[bytes], bait: Canary, tmp_path: Path) -> None:
    with watched(target.requests, bait, REQUESTS, tmp_path) as watch:
        fuzz_requests(watch, files, N_REQUESTS, SEED)
    assert not watch.tally.findings, "\n".join(summary(watch.tally))
    assert watch.tally.outcomes["served"] > 0
    assert watch.tally.last.n_descriptors <= watch.tally.warm.n_descriptors
