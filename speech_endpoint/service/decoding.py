"""Audio files are decoded beside the engine, some at once, as far as memory allows."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from speech_endpoint.audio.decoding.sandbox import DecodedAudio
from speech_endpoint.reception import Reception
from speech_endpoint.service.handle import Handle

# Two at least: a long file must not hold up the short ones behind it.
MIN_THREADS = 2
CORES_PER_THREAD = 4
# A file of no more bytes is short: half a minute of samples, or minutes of compressed speech.
SHORT_BYTES = 2**20
# Long files leave this part of the memory, and one thread, to short ones.
RESERVED = 1 / 4

OnDecoded = Callable[[Handle, DecodedAudio, float], None]
OnFailed = Callable[[Handle, Exception], None]


class DecodingStage:
    """Decodes the files of jobs, first come, first served; short ones pass long ones that wait."""

    def __init__(
        self,
        pipeline: Reception,
        memory_bytes: int,
        on_decoded: OnDecoded,
        on_failed: OnFailed,
    ) -> None:
        """
        Args:
            pipeline: decodes.
            memory_bytes: for decoded audio; a file waits while others hold as much.
            on_decoded: called with the job, its audio, and the seconds that decoding took.
            on_failed: called with the job, and why its audio cannot be decoded.
        """
        self._pipeline, self._memory_bytes = pipeline, memory_bytes
        self._on_decoded, self._on_failed = on_decoded, on_failed
        n_threads = max(MIN_THREADS, (os.cpu_count() or 1) // CORES_PER_THREAD)
        self._pool = ThreadPoolExecutor(n_threads, thread_name_prefix="decoding")
        self._lock = threading.Lock()
        self._waiting: deque[Handle] = deque()
        self._held_bytes: dict[Handle, int] = {}
        """Of decoded audio; 0 while it is being decoded."""
        self._n_threads = n_threads

    def add(self, handle: Handle) -> None:
        """Let a file wait."""
        with self._lock:
            self._waiting.append(handle)
        self._start_next()

    def release(self, handle: Handle) -> None:
        """A job holds no audio any more, and wants none."""
        with self._lock:
            self._held_bytes.pop(handle, None)
            with contextlib.suppress(ValueError):
                self._waiting.remove(handle)
        self._start_next()

    @property
    def held_bytes(self) -> int:
        """Of decoded audio."""
        with self._lock:
            return sum(self._held_bytes.values())

    def close(self) -> None:
        """Begin nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _start_next(self) -> None:
        while (handle := self._next()) is not None:
            self._pool.submit(self._decode, handle)

    def _next(self) -> Handle | None:
        with self._lock:
            handle = next(filter(self._has_room, self._waiting), None)
            if handle is not None:
                self._waiting.remove(handle)
                self._held_bytes[handle] = 0
            return handle

    def _has_room(self, handle: Handle) -> bool:
        in_work = [other for other, size in self._held_bytes.items() if size == 0]
        if len(in_work) >= self._n_threads:
            return False
        held = sum(self._held_bytes.values())
        if _is_short(handle):
            return not held or held < self._memory_bytes
        n_long = sum(not _is_short(other) for other in in_work)
        is_thread_left = n_long < self._n_threads - 1
        return is_thread_left and (not held or held < self._memory_bytes * (1 - RESERVED))

    def _decode(self, handle: Handle) -> None:
        if handle.is_over:
            self.release(handle)
            return
        started = time.perf_counter()
        try:
            audio = self._pipeline.decode(handle.request)
            with self._lock:
                if handle in self._held_bytes:
                    self._held_bytes[handle] = audio.n_bytes
            self._on_decoded(handle, audio, time.perf_counter() - started)
        except Exception as error:
            self.release(handle)
            self._on_failed(handle, error)
        self._start_next()


def _is_short(handle: Handle) -> bool:
    return len(handle.request.inputs) <= SHORT_BYTES
