"""An application on a free port, in a thread."""

from __future__ import annotations

import socket
import threading
from typing import Self

import uvicorn


class ThreadedServer(uvicorn.Server):
    """Runs in a thread, and says when it listens."""

    def __init__(self, app, **config: object) -> None:
        """
        Args:
            app: what is served.
            **config: of uvicorn.
        """
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.listening = threading.Event()
        super().__init__(uvicorn.Config(app, **config))

    async def startup(self, sockets=None) -> None:
        await super().startup(sockets=sockets)
        self.listening.set()

    def __enter__(self) -> Self:
        self.thread = threading.Thread(
            target=self.run, kwargs={"sockets": [self.socket]}, daemon=True
        )
        self.thread.start()
        assert self.listening.wait(30)
        return self

    def __exit__(self, *error: object) -> None:
        self.should_exit = True
        self.thread.join(30)
