"""Servers in processes of their own, and what they write."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
from paths import REPOSITORY

HERE = Path(__file__).parent
ROUTE = "/v1/audio/transcriptions"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


class Process:
    """A server of its own: the real one, or one that does what a script says."""

    def __init__(self, *command: str, port: int | None = None, **environment: str) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [sys.executable, *command],
            cwd=REPOSITORY,
            env=os.environ
            | {"PORT": str(self.port), "DRAIN_DELAY_S": "0.2"}
            | {"PYTHONPATH": os.pathsep.join(map(str, (REPOSITORY, REPOSITORY / "tests", HERE)))}
            | environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self.listening = threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            if "running on" in line:
                self.listening.set()

    def wait(self) -> int:
        code = self.process.wait(30)
        self.reader.join(30)
        return code


def until_ready(process: Process) -> None:
    with httpx.Client() as client:
        while client.get(process.url + "/ready").status_code != 200:
            pass
