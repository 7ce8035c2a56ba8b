"""A server of its own process, for tests of how one begins and ends; settings by environment.

Models count as loaded, and work as done, when a file exists in `SCRIPT_DIRECTORY`; with
`SCRIPT_FAILS` they cannot be loaded.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from pathlib import Path

from scripted import EVENTS
from served import ScriptedService

from speech_endpoint.server.run import serve
from speech_endpoint.server.settings import ServerSettings
from speech_endpoint.service.events import Unavailable


class SlowService(ScriptedService):
    """Loads, and works, until files say that it is done."""

    def __init__(self, loaded: Path, worked: Path, fails: bool) -> None:
        super().__init__(lambda: wait_for(worked), *EVENTS)
        self.loaded, self.fails = loaded, fails
        self.at("loading")

    def start(self) -> None:
        threading.Thread(target=self._load, daemon=True).start()

    def _load(self) -> None:
        wait_for(self.loaded)
        self.at("failed" if self.fails else "ready")

    def admit(self) -> None:
        stage = self.status().stage
        if stage != "ready":
            raise Unavailable(f"the server is {stage}", 5.0, stage)  # type: ignore[arg-type]

    async def drain(self, deadline_s: float) -> None:
        self.at("draining")
        until = time.monotonic() + deadline_s
        while not all(job.cancelled.is_set() for job in self.jobs) and time.monotonic() < until:
            await asyncio.sleep(0.02)

    def close(self) -> None:
        pass


def wait_for(file: Path) -> None:
    while not file.exists():
        time.sleep(0.02)


if __name__ == "__main__":
    directory = Path(os.environ["SCRIPT_DIRECTORY"])
    service = SlowService(directory / "loaded", directory / "worked", "SCRIPT_FAILS" in os.environ)
    sys.exit(serve(service, ServerSettings()))
