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
from speech_endpoint.pipeline import SpeechPipeline
from speech_endpoint.service.handle import Handle

# Two at least: a long file must not hold up the short ones behind it.
MIN_THREADS = 2
CORES_PER_THREAD = 4

OnDecoded = Callable[[Handle, DecodedAudio, float], None]
OnFailed = Callable[[Handle, Exception], None]


class DecodingStage:
    """Decodes the files of jobs, first come, first served."""

    def __init__(
        self,
        pipeline: SpeechPipeline,
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

    def close(self) -> None:
        """Begin nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _start_next(self) -> None:
        while (handle := self._next()) is not None:
            self._pool.submit(self._decode, handle)

    def _next(self) -> Handle | None:
        with self._lock:
            held = self._held_bytes.values()
            n_in_work = sum(size == 0 for size in held)
            if not self._waiting or n_in_work >= self._n_threads:
                return None
            if held and sum(held) >= self._memory_bytes:
                return None
            handle = self._waiting.popleft()
            self._held_bytes[handle] = 0
            return handle

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
