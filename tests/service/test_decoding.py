"""Which files are decoded, and which wait."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from speech_endpoint.audio.decoding.sandbox import DecodedAudio
from speech_endpoint.service.decoding import MIN_THREADS, SHORT_BYTES, DecodingStage

pytestmark = pytest.mark.pure

MEMORY_BYTES = 4000
TIMEOUT_S = 30


class Decoding:
    """A stage whose files take as long to decode, and as much memory, as a test says."""

    def __init__(self, monkeypatch) -> None:
        monkeypatch.setattr("os.cpu_count", lambda: 1)
        self.done: list[str] = []
        self.told = threading.Condition()
        self.stage = DecodingStage(self, MEMORY_BYTES, self._on_decoded, lambda *_: None)  # type: ignore[arg-type]

    def decode(self, request: Any) -> DecodedAudio:
        assert request.may_end.wait(TIMEOUT_S)
        return DecodedAudio(np.zeros((1, request.n_bytes // 4), np.float32), ())

    def _on_decoded(self, handle: Any, *_: object) -> None:
        with self.told:
            self.done.append(handle.name)
            self.told.notify_all()

    def add(self, name: str, *, short: bool, n_bytes: int = 400, at_once: bool = True) -> Any:
        request = SimpleNamespace(
            inputs=b"x" * (SHORT_BYTES if short else SHORT_BYTES + 1),
            n_bytes=n_bytes,
            may_end=threading.Event(),
        )
        handle = Handle(name, request)
        if at_once:
            request.may_end.set()
        self.stage.add(handle)  # type: ignore[arg-type]
        return handle

    def wait_for(self, *names: str) -> None:
        with self.told:
            assert self.told.wait_for(lambda: set(names) <= {*self.done}, TIMEOUT_S), self.done


class Handle:
    is_over = False

    def __init__(self, name: str, request: Any) -> None:
        self.name, self.request = name, request


@pytest.fixture
def decoding(monkeypatch):
    decoding = Decoding(monkeypatch)
    yield decoding
    decoding.stage.close()


def test_a_short_file_passes_long_ones_that_wait_for_memory(decoding: Decoding) -> None:
    first = decoding.add("long", short=False, n_bytes=MEMORY_BYTES * 3 // 4)
    decoding.wait_for("long")
    decoding.add("second long", short=False)
    decoding.add("short", short=True)
    decoding.wait_for("short")
    assert decoding.done == ["long", "short"]
    decoding.stage.release(first)
    decoding.wait_for("second long")


def test_a_short_file_waits_too_where_all_memory_is_taken(decoding: Decoding) -> None:
    """The last byte is nobody's by right."""
    first = decoding.add("long", short=False, n_bytes=MEMORY_BYTES)
    decoding.wait_for("long")
    decoding.add("short", short=True)
    assert decoding.done == ["long"] and decoding.stage.held_bytes == MEMORY_BYTES
    decoding.stage.release(first)
    decoding.wait_for("short")


def test_long_files_leave_a_thread_to_short_ones(decoding: Decoding) -> None:
    long = [decoding.add(f"long {n}", short=False, at_once=False) for n in range(MIN_THREADS)]
    decoding.add("short", short=True)
    decoding.wait_for("short")
    for handle in long:
        handle.request.may_end.set()
    decoding.wait_for("long 0", "long 1")
