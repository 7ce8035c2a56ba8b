"""The application as a test serves it; a service whose events a test decides."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace

from threaded_server import ThreadedServer

from speech_endpoint.reception import Request
from speech_endpoint.service.events import Event, Failed, ServiceStatus

READY = ServiceStatus(
    stage="ready",
    detail="a script",
    heartbeat_age_s=0.0,
    jobs_running=0,
    jobs_waiting=0,
    queued_audio_s=0.0,
    estimated_wait_s=0.0,
    batch_rows=0,
    batch_slots=4,
)


class Served(ThreadedServer):
    """Logs where the tests' own logging is."""

    def __init__(self, app) -> None:
        super().__init__(app, log_config=None, access_log=False)


@dataclass
class ScriptedJob:
    """Plays events; after the last it ends, or waits until it is cancelled."""

    script: list[Event | Callable[[], None]]
    stays: bool = False
    cancelled: threading.Event = field(default_factory=threading.Event)

    async def events(self) -> AsyncIterator[Event]:
        for event in self.script:
            if callable(event):
                await asyncio.to_thread(event)
            else:
                yield event
        if self.stays:
            await asyncio.to_thread(self.cancelled.wait, 30)

    def cancel(self) -> None:
        self.cancelled.set()


class ScriptedService:
    """A service that says what a test has it say: what HTTP makes of it is what is tested."""

    def __init__(self, *script: Event | Callable[[], None], stays: bool = False) -> None:
        self.script, self.stays = list(script), stays
        self.refusal: Exception | None = None
        self.current = READY
        self.jobs: list[ScriptedJob] = []
        self.requests: list[Request] = []

    def admit(self) -> None:
        if self.refusal is not None:
            raise self.refusal

    def submit(self, request: Request, request_id: str) -> ScriptedJob:
        self.admit()
        self.requests.append(request)
        self.jobs.append(ScriptedJob(self.script, self.stays))
        return self.jobs[-1]

    def status(self) -> ServiceStatus:
        return self.current

    def at(self, stage: str) -> None:
        self.current = replace(self.current, stage=stage)


def failing(error: BaseException) -> ScriptedService:
    return ScriptedService(Failed(error))
