"""Decodes files in a process of its own, so that no file can harm the endpoint or reach beyond it.

The worker (`worker`) is forked for each file from a small process that holds FFmpeg and nothing
else; that costs some milliseconds, where a new interpreter would cost a tenth of a second. Payload
and samples travel in shared memory.
"""

from __future__ import annotations

import json
import logging
import mmap
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from speech_endpoint.audio.decoding.file_decoder import DecodingOptions
from speech_endpoint.audio.payload import invalid_inputs
from speech_endpoint.errors import InvalidRequest
from speech_endpoint.transcript import Channels, Waveform

logger = logging.getLogger(__name__)

GRACE_S = 10.0
MIN_PACE = 60.0
"""Seconds of sound a second that decoding must keep up, after a grace of `GRACE_S`. The slowest
codecs reach several hundred on one core."""
MAX_PASSES = 3
"""A silent track, the one after it, and that once more in another mix."""
WORKER_MODULE = "speech_endpoint.audio.decoding.worker"
INHERITED = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "SYSTEMROOT")
"""Of the environment: nothing that could hold a secret."""


@dataclass(frozen=True, eq=False)
class DecodedAudio:
    """A recording, decoded."""

    channels: Channels
    """(channels, samples) at 16 kHz, in shared memory: one, unless they are kept apart."""
    warnings: tuple[str, ...]
    clips: tuple[Waveform, ...] = ()
    """Of the voices that the request names by clips, in order."""

    @property
    def n_bytes(self) -> int:
        return self.channels.nbytes + sum(clip.nbytes for clip in self.clips)


class AudioDecoder:
    """Decodes audio files in a worker process. Any number of threads may call it at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._worker = _Worker()

    def __call__(self, payload: bytes, options: DecodingOptions) -> DecodedAudio:
        """Decode a file; `decode.decode` says what is read and how.

        Raises:
            InvalidRequest: nothing to decode, damaged, beyond a limit, or what made the worker
                crash or hang.
        """
        with ExitStack() as stack:
            payload_fd = stack.enter_context(_shared_memory(payload))
            samples_fd = stack.enter_context(_shared_memory(b""))
            channel, far_end = socket.socketpair()
            stack.enter_context(channel)
            with far_end:
                self._send([payload_fd, samples_fd, far_end.fileno()])
            started = time.monotonic()
            channel.settimeout(_longest_wait_s(options))
            try:
                reply = _converse(channel, options)
            except TimeoutError:
                # The worker's own timer ends what takes too long; this one did not even get there.
                self.close()
                reply = None
            if reply is None:
                raise _no_reply(time.monotonic() - started)
            return _decoded(reply, samples_fd)

    def close(self) -> None:
        """End the worker."""
        self._worker.close()

    def _send(self, descriptors: list[int]) -> None:
        """Hand a request to the worker; to a new one if the last has died."""
        with self._lock:
            try:
                self._worker.send(descriptors)
            except OSError:
                logger.warning("the decoding process has died and is started again")
                self._worker.close()
                self._worker = _Worker()
                self._worker.send(descriptors)


class _Worker:
    """The process that forks a child for each file."""

    def __init__(self) -> None:
        self._socket, far_end = socket.socketpair()
        search_path = [os.path.abspath(path) for path in sys.path]
        environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
        with far_end:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", WORKER_MODULE, str(far_end.fileno())],
                cwd="/",
                # One thread: a process with threads cannot be forked safely.
                env=environment
                | {"PYTHONPATH": os.pathsep.join(search_path), "OPENBLAS_NUM_THREADS": "1"},
                pass_fds=[far_end.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )

    def send(self, descriptors: list[int]) -> None:
        socket.send_fds(self._socket, [b"\0"], descriptors)

    def close(self) -> None:
        self._socket.close()
        # With the children that it forked: it leads a session of its own.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@contextmanager
def _shared_memory(content: bytes) -> Iterator[int]:
    """A descriptor of memory that another process can map, with this content."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("audio")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
        yield fd
    finally:
        os.close(fd)


def _converse(channel: socket.socket, options: DecodingOptions) -> dict[str, Any] | None:
    """The worker's reply; None if it ended without one."""
    try:
        channel.sendall(json.dumps(asdict(options)).encode() + b"\n")
        with channel.makefile("rb") as replies:
            return json.loads(replies.read() or b"null")
    except TimeoutError:
        raise
    except (OSError, ValueError):
        return None


def _longest_wait_s(options: DecodingOptions) -> float | None:
    wait_s = 2 * GRACE_S + MAX_PASSES * options.max_audio_s / MIN_PACE
    return wait_s if wait_s < threading.TIMEOUT_MAX else None


def _no_reply(elapsed_s: float) -> InvalidRequest:
    return invalid_inputs(
        "unreadable",
        f"decoding the audio ended without a result after {elapsed_s:.1f} s: it takes too long, or "
        "the file is damaged or crafted",
    )


def _decoded(reply: dict[str, Any], samples_fd: int) -> DecodedAudio:
    if "refused" in reply:
        raise InvalidRequest(*reply["refused"])
    if "failed" in reply:
        logger.error("an audio file could not be decoded:\n%s", reply["failed"])
        raise invalid_inputs("unreadable", "the audio cannot be decoded; it is damaged or crafted")
    samples = np.frombuffer(mmap.mmap(samples_fd, 0), np.float32)
    return DecodedAudio(samples.reshape(-1, reply["n_channels"]).T, tuple(reply["warnings"]))
