"""Work on a thread of its own: whose turn it is, what it comes to, what is given up."""

from __future__ import annotations

import threading
from collections.abc import Generator
from concurrent.futures import Future
from itertools import groupby

import pytest
import torch

from speech_endpoint.side_thread import SideThread


@pytest.fixture(scope="module")
def side_thread() -> SideThread:
    return SideThread(torch.device("cpu"))


def test_jobs_take_turns_on_one_other_thread(side_thread: SideThread) -> None:
    begun, done, threads = threading.Event(), list[str](), set[int]()

    def units(name: str) -> Generator[None, None, str]:
        begun.wait()
        for _ in range(3):
            done.append(name)
            threads.add(threading.get_ident())
            yield
        return name.upper()

    futures = [side_thread.start(units(name)) for name in ("a", "b")]
    begun.set()
    assert [future.result() for future in futures] == ["A", "B"]
    assert [name for name, _ in groupby(done)] == ["a", "b"] * 3
    assert len(threads) == 1 and threading.get_ident() not in threads


def test_what_fails_fails_alone(side_thread: SideThread) -> None:
    def fails() -> Generator[None, None, None]:
        yield
        raise ValueError("no")

    def goes_on() -> Generator[None, None, int]:
        yield
        yield
        return 1

    bad, good = side_thread.start(fails()), side_thread.start(goes_on())
    with pytest.raises(ValueError, match="no"):
        bad.result()
    assert good.result() == 1


@pytest.mark.parametrize("under_way", [True, False])
def test_cancelled_work_is_closed_after_its_unit(side_thread: SideThread, under_way: bool) -> None:
    begun, may_end, closed = threading.Event(), threading.Event(), threading.Event()
    n_units = 0

    def units() -> Generator[None, None, None]:
        nonlocal n_units
        try:
            while True:
                n_units += 1
                begun.set()
                may_end.wait()
                yield
        finally:
            closed.set()

    def nothing() -> Generator[None, None, None]:
        yield from ()

    future: Future[None] = side_thread.start(units())
    begun.wait()
    if not under_way:
        may_end.set()
    future.cancel()
    may_end.set()
    side_thread.start(nothing()).result()
    assert closed.wait(10) and future.cancelled()
    assert n_units == 1 or not under_way
