"""A canary: a file and ports of the loopback device that no request may touch."""

from __future__ import annotations

import ctypes
import os
import selectors
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

FILE_NAME = "secret-canary.wav"
IN_OPEN_OR_ACCESS = 0x21


@dataclass
class Canary:
    """Where the canary is, and who came."""

    directory: Path
    """To be the server's working directory; FILE_NAME lies in it."""
    tcp_port: int
    udp_port: int
    visits: list[str] = field(default_factory=list)
    """What touched the ports."""
    _opened: int = -1

    @property
    def file(self) -> Path:
        return self.directory / FILE_NAME

    def touched(self) -> list[str]:
        """Every visit of the ports and opening of the file until now."""
        try:
            opened = bool(os.read(self._opened, 1 << 16))
        except BlockingIOError:
            opened = False
        return [*self.visits, *([f"{FILE_NAME} was opened"] if opened else [])]


@contextmanager
def canary(content: bytes) -> Iterator[Canary]:
    """A canary whose file holds `content`: a recording, so that reading it would be of use."""
    with (
        tempfile.TemporaryDirectory(prefix="canary-") as directory,
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        selectors.DefaultSelector() as selector,
    ):
        for port in (tcp, udp):
            port.bind(("127.0.0.1", 0))
            port.setblocking(False)
        tcp.listen()
        bait = Canary(Path(directory), tcp.getsockname()[1], udp.getsockname()[1])
        bait.file.write_bytes(content)
        bait._opened = _watch_file(bait.file)
        stop, stopped = os.pipe()
        for source in (tcp, udp, stop):
            selector.register(source, selectors.EVENT_READ)
        watch = threading.Thread(target=_count_visits, args=(bait, selector, tcp, udp, stop))
        watch.start()
        try:
            yield bait
        finally:
            os.close(stopped)
            watch.join()
            os.close(stop)
            os.close(bait._opened)


def _watch_file(file: Path) -> int:
    """A descriptor that can be read without waiting once anybody has opened the file."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if watch < 0 or libc.inotify_add_watch(watch, bytes(file), IN_OPEN_OR_ACCESS) < 0:
        raise OSError(ctypes.get_errno(), "inotify watches no file here")
    return watch


def _count_visits(
    bait: Canary,
    selector: selectors.BaseSelector,
    tcp: socket.socket,
    udp: socket.socket,
    stop: int,
) -> None:
    while True:
        ready = [key.fileobj for key, _ in selector.select()]
        if tcp in ready:
            connection, _ = tcp.accept()
            connection.close()
            bait.visits.append(f"a connection to TCP port {bait.tcp_port}")
        if udp in ready:
            udp.recv(1 << 16)
            bait.visits.append(f"a datagram to UDP port {bait.udp_port}")
        if stop in ready:
            return
