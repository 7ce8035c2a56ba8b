"""The process that decodes: it forks a child for each file, and the child gives up every way out.

A child may open no file and no socket, has limits on memory, processor time and output, and a timer
that ends it whatever a library does. It knows no secret: its environment is made for it.

Started by `sandbox`: python -m speech_endpoint.audio.decoding.worker FD
"""

from __future__ import annotations

import io
import json
import mmap
import os
import resource
import signal
import socket
import sys
import time
import traceback
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from speech_endpoint.audio.decoding.decode import MemorySink, decode
from speech_endpoint.audio.decoding.file_decoder import DecodingOptions
from speech_endpoint.audio.decoding.rendering import Samples
from speech_endpoint.audio.decoding.sandbox import GRACE_S, MAX_PASSES, MIN_PACE
from speech_endpoint.errors import InvalidRequest
from speech_endpoint.transcript import SAMPLE_RATE_HZ

MAX_WORKING_MEMORY_BYTES = 256 * 2**20
"""Beside the payload: FFmpeg's tables of a file of hours take some 40 MiB."""
N_DESCRIPTORS = 3
STATM = Path("/proc/self/statm")
"""Linux: the pages that this process has, first all of them."""


def serve(requests: socket.socket) -> None:
    """Fork a child for each request, until the endpoint closes the socket.

    A request is one byte, with three descriptors: the payload's memory, the samples', and a socket
    for the options (a line of JSON) and the reply.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # The kernel reaps the children.
    while True:
        byte, descriptors, _, _ = socket.recv_fds(requests, 1, N_DESCRIPTORS)
        if not byte:
            return
        if os.fork() == 0:
            requests.close()
            _serve_one(*descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _serve_one(payload_fd: int, samples_fd: int, channel_fd: int) -> None:
    """Decode one file, reply, and end this process."""
    try:
        with socket.socket(fileno=channel_fd) as channel:
            options = DecodingOptions(**json.loads(channel.makefile("rb").readline()))
            payload = mmap.mmap(payload_fd, 0, prot=mmap.PROT_READ)
            confine(options)
            channel.sendall(json.dumps(_reply(payload, options, samples_fd)).encode())
    finally:
        os._exit(0)


def confine(options: DecodingOptions) -> None:
    """Take away from this process, for good, what decoding does not need."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    most_bytes = options.max_audio_s * SAMPLE_RATE_HZ * np.dtype(np.float32).itemsize + 2**20
    if most_bytes < sys.maxsize:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(most_bytes), int(most_bytes)))
    if STATM.exists():
        n_pages = int(STATM.read_text().split()[0])
        memory = n_pages * resource.getpagesize() + MAX_WORKING_MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    # Last: from here on neither a file nor a socket can be opened.
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


def _reply(payload: mmap.mmap, options: DecodingOptions, samples_fd: int) -> dict[str, Any]:
    timer = Timer(options.max_audio_s)
    try:
        n_channels, warnings = decode(payload, options, FileSink(samples_fd), timer.progress)
    except InvalidRequest as error:
        return {"refused": [error.field, error.code, error.message]}
    except MemoryError:
        return {"refused": ["inputs", "too_large", _out_of_memory()]}
    except Exception:
        # What FFmpeg and PyAV may do with a crafted file, or a mistake of ours: for the log.
        return {"failed": traceback.format_exc()}
    return {"n_channels": n_channels, "warnings": warnings}


def _out_of_memory() -> str:
    return (
        f"decoding the audio takes more memory than the limit of "
        f"{MAX_WORKING_MEMORY_BYTES // 2**20} MiB beside its samples (a large cover, or a crafted "
        "file?)"
    )


class Allowance:
    """How long decoding may take, by how much has been decoded: at `MIN_PACE` at least.

    What is decoded once more, in another mix or because a track is silent, counts again, as often
    as `MAX_PASSES` allows.
    """

    def __init__(self, max_audio_s: float) -> None:
        self._max_repeated_s = (MAX_PASSES - 1) * max_audio_s
        self._position_s = self._repeated_s = 0.0

    def seconds(self, position_s: float) -> float:
        """From the start on, now that `position_s` seconds of the recording are decoded."""
        again_s = max(0.0, self._position_s - position_s)
        self._repeated_s = min(self._max_repeated_s, self._repeated_s + again_s)
        self._position_s = position_s
        return GRACE_S + (self._repeated_s + position_s) / MIN_PACE


class Timer:
    """Ends this process when decoding hangs, or is slower than is allowed."""

    def __init__(self, max_audio_s: float) -> None:
        self._started, self._allowance = time.monotonic(), Allowance(max_audio_s)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        self.progress(0.0)

    def progress(self, position_s: float) -> None:
        """Set the alarm anew: `position_s` seconds of the recording are decoded."""
        left_s = self._allowance.seconds(position_s) - (time.monotonic() - self._started)
        signal.setitimer(signal.ITIMER_REAL, max(left_s, 0.001))


@dataclass
class FileSink:
    """Samples in memory that the endpoint shares."""

    fd: int

    def append(self, samples: Samples) -> None:
        """Add (samples, channels)."""
        content = samples.astype(np.float32).tobytes()
        while content:
            content = content[os.write(self.fd, content) :]

    def position(self) -> int:
        """How much is there, bytes."""
        return os.lseek(self.fd, 0, os.SEEK_CUR)

    def truncate(self, position: int) -> None:
        """Forget what came after `position`."""
        os.ftruncate(self.fd, position)
        os.lseek(self.fd, position, os.SEEK_SET)


def _warm_up() -> None:
    """Decode a second of silence, so that the children find all code loaded: they open no file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setparams((1, 2, 8_000, 8_000, "NONE", ""))
        wav.writeframes(bytes(2 * 8_000))
    decode(file.getvalue(), DecodingOptions(max_audio_s=60), MemorySink())


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as requests_:
        _warm_up()
        serve(requests_)
