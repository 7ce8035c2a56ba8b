"""A service of one thread that serves one request at a time: the pipeline as it is."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import AsyncIterator

from paths import REPOSITORY

from speech_endpoint.pipeline import Request, SpeechPipeline
from speech_endpoint.server.settings import ServerSettings
from speech_endpoint.service.events import (
    Done,
    Event,
    Failed,
    Progress,
    Segments,
    ServiceStatus,
    Unavailable,
)


class SerialJob:
    def __init__(self, request: Request, loop: asyncio.AbstractEventLoop) -> None:
        self.request, self.loop = request, loop
        self.queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self.cancelled = threading.Event()
        self.put(Progress(0.0, None, 0.0))

    def put(self, event: Event | None) -> None:
        self.loop.call_soon_threadsafe(self.queue.put_nowait, event)

    async def events(self) -> AsyncIterator[Event]:
        while (event := await self.queue.get()) is not None:
            yield event
            if isinstance(event, (Done, Failed)):
                return

    def cancel(self) -> None:
        if not self.cancelled.is_set():
            self.cancelled.set()
            self.put(None)


class SerialService:
    """Loads and runs the models in one thread."""

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.stage, self.detail = "loading", ""
        self.queue: queue.Queue[SerialJob | None] = queue.Queue()
        self.running = 0
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self.thread.start()

    def wait_until_ready(self) -> None:
        assert self.ready.wait(280)
        assert self.stage == "ready", self.detail

    def admit(self) -> None:
        if self.stage in ("loading", "draining"):
            raise Unavailable(f"the server is {self.stage}", 5.0, self.stage)

    def submit(self, request: Request, request_id: str) -> SerialJob:
        self.admit()
        self.pipeline.check(request.config)
        job = SerialJob(request, asyncio.get_running_loop())
        self.running += 1
        self.queue.put(job)
        return job

    def status(self) -> ServiceStatus:
        return ServiceStatus(
            self.stage, self.detail, 0.0, self.running, 0, 0.0, 0.0, 0, 1  # type: ignore[arg-type]
        )  # fmt: skip

    async def drain(self, deadline_s: float) -> None:
        self.stage = "draining"
        until = time.monotonic() + deadline_s
        while self.running and time.monotonic() < until:
            await asyncio.sleep(0.02)

    def close(self) -> None:
        self.queue.put(None)

    def _run(self) -> None:
        try:
            self.pipeline = SpeechPipeline(self.settings, str(REPOSITORY))
            self.stage = "ready"
        except Exception as error:
            self.stage, self.detail = "failed", str(error)
        self.ready.set()
        while (job := self.queue.get()) is not None:
            try:
                self._serve(job)
            except Exception as error:
                job.put(Failed(error))
            finally:
                self.running -= 1

    def _serve(self, job: SerialJob) -> None:
        stream = self.pipeline.stream(job.request)
        while not job.cancelled.is_set():
            try:
                segment = next(stream)
            except StopIteration as end:
                job.put(Done(end.value))
                return
            job.put(Segments((segment,)))
            job.put(Progress(segment.end, None, 0.0))
        stream.close()
