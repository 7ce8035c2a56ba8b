"""The endpoint behind HTTP, as its host runs it (tests/host.py), in a process of its own.

Says `RESULT {"port": …}` when it listens, and stops when its standard input ends.
"""

from __future__ import annotations

import importlib
import socket
import sys
import threading
from typing import Any

import uvicorn

from benchmarks import child
from benchmarks.process import age_s


class Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, app: Any) -> None:
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        super().__init__(uvicorn.Config(app, log_level="warning"))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        child.answer({"port": self.socket.getsockname()[1], "ready_s": age_s()})


def main() -> None:
    sys.path.insert(0, str(child.REPOSITORY / "tests"))
    host = importlib.import_module("host")
    server = Server(host.make_app(host.load_handler(child.REPOSITORY)))

    def stop_with_parent() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=stop_with_parent, daemon=True).start()
    server.run(sockets=[server.socket])


if __name__ == "__main__":
    main()
