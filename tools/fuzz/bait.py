"""A canary: a file and ports of the loopback device that no request may touch."""

from __future__ import annotations

import ctypes
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FILE_NAME = "secret-canary.wav"
IN_OPEN_OR_ACCESS = 0x21


class Canary:
    """A file in a directory to work in, a TCP and a UDP port, and who touched them."""

    def __init__(self, directory: Path, content: bytes) -> None:
        """
        Args:
            directory: an empty one.
            content: of the file: a recording, so that reading it would be of use.
        """
        self.directory, self.file = directory, directory / FILE_NAME
        self.file.write_bytes(content)
        self._opened = _watch_file(self.file)
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", 0))
        self._tcp.setblocking(False)
        self._udp.setblocking(False)
        self.tcp_port: int = self._tcp.getsockname()[1]
        self.udp_port: int = self._udp.getsockname()[1]

    def touched(self) -> list[str]:
        """What was touched since the last call."""
        touched = []
        with suppress(BlockingIOError):
            self._tcp.accept()[0].close()
            touched.append("the canary's TCP port was called")
        with suppress(BlockingIOError):
            self._udp.recv(1 << 16)
            touched.append("the canary's UDP port was called")
        with suppress(BlockingIOError):
            os.read(self._opened, 1 << 16)
            touched.append("the canary's file was opened")
        return touched

    def close(self) -> None:
        """Give the ports and the watch back."""
        self._tcp.close()
        self._udp.close()
        os.close(self._opened)


@contextmanager
def canary(content: bytes) -> Iterator[Canary]:
    """A Canary in a directory of its own, which is removed in the end."""
    with tempfile.TemporaryDirectory(prefix="canary-") as directory:
        bait = Canary(Path(directory), content)
        try:
            yield bait
        finally:
            bait.close()


def _watch_file(file: Path) -> int:
    """A descriptor that can be read without waiting once anybody has opened the file."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if watch < 0 or libc.inotify_add_watch(watch, bytes(file), IN_OPEN_OR_ACCESS) < 0:
        raise OSError(ctypes.get_errno(), "inotify watches no file here")
    return watch
