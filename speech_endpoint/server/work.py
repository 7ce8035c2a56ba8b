"""A request at the service: submitted, followed, given up when nobody waits for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.types import Receive

from speech_endpoint.reception import Request
from speech_endpoint.server.errors import CallerGone
from speech_endpoint.server.observation.metrics import Metrics
from speech_endpoint.server.observation.record import RequestRecord, record_of
from speech_endpoint.server.settings import ServerSettings
from speech_endpoint.server.uploads.body import BodyLimits, read_all, stated_bytes
from speech_endpoint.server.uploads.budget import Account, UploadBudget
from speech_endpoint.server.uploads.form import (
    MAX_OVERHEAD_BYTES,
    Form,
    check_form_headers,
    read_form,
)
from speech_endpoint.service.events import (
    DeadlineExceeded,
    Done,
    Event,
    Failed,
    Job,
    Segments,
    Service,
)
from speech_endpoint.transcript import Transcript

KEEP_ALIVE_S = 10.0


@dataclass(frozen=True)
class Desk:
    """What every route that does work needs."""

    service: Service
    settings: ServerSettings
    budget: UploadBudget
    metrics: Metrics
    keep_alive_s: float = KEEP_ALIVE_S
    """A stream is silent for no longer."""

    @property
    def max_file_bytes(self) -> int:
        return self.settings.max_payload_mb * 2**20

    async def form(self, request: HttpRequest, account: Account) -> Form:
        """Read a form, unless the service would refuse its request anyway.

        Raises:
            ApiError: the form cannot be had.
            Overloaded: the wait would be too long.
            Unavailable: loading or draining.
            CallerGone: the caller hung up.
        """
        self.service.admit()
        check_form_headers(request.headers)
        max_bytes = self.max_file_bytes
        await self._make_room(request, account, max_bytes, MAX_OVERHEAD_BYTES)
        limits = BodyLimits(max_bytes, self.settings.upload_timeout_s)
        form = await read_form(request.headers, request.receive, limits)
        account.keep(len(form.file or b"") + sum(len(value) for _, value in form.fields))
        return form

    async def body(self, request: HttpRequest, account: Account, max_bytes: int) -> bytes:
        """Read a body whole; raises as `form` does."""
        self.service.admit()
        await self._make_room(request, account, max_bytes)
        limits = BodyLimits(max_bytes, self.settings.upload_timeout_s)
        body = await read_all(request.receive, limits)
        account.keep(len(body))
        return body

    async def _make_room(
        self, request: HttpRequest, account: Account, max_bytes: int, overhead_bytes: int = 0
    ) -> None:
        n_bytes = stated_bytes(request.headers, max_bytes, overhead_bytes)
        # A body that does not say how long it is may be the largest; alone, it always fits.
        await account.take(min(n_bytes, self.budget.limit_bytes))

    def submit(self, request: HttpRequest, speech: Request) -> Work:
        """Let a request join the others; raises as `Service.submit` does."""
        record = record_of(request.scope)
        record.stage, record.task = "queue", speech.config.task
        job = self.service.submit(speech, record.id)
        return Work(job, request.receive, record, self)

    async def transcript(self, request: HttpRequest, speech: Request) -> Transcript:
        """Submit a request and wait for its transcript.

        Raises:
            CallerGone: the caller hung up.
            Exception: whatever went wrong; `errors.to_api_error` knows it.
        """
        work = self.submit(request, speech)
        async with contextlib.aclosing(work.events()) as events:
            async for event in events:
                if isinstance(event, Done):
                    return event.transcript
        raise RuntimeError("the service ended without an answer")


class Work:
    """A job, and the caller who waits for it."""

    def __init__(self, job: Job, receive: Receive, record: RequestRecord, desk: Desk) -> None:
        self.job, self.receive, self.record, self.desk = job, receive, record, desk

    async def events(self) -> AsyncGenerator[Event | None]:
        """The job's events to the last; None where there was none for a while.

        However this ends, the job is cancelled if it is not done.

        Raises:
            CallerGone: the caller hung up.
            DeadlineExceeded: it took too long.
            Exception: what the job failed of.
        """
        submitted_s = self.record.elapsed_s
        deadline_s = self.desk.settings.request_timeout_s
        gone: asyncio.Future[Any] = asyncio.ensure_future(_hang_up(self.receive))
        events = self.job.events()
        coming: asyncio.Future[Any] | None = None
        try:
            while True:
                coming = coming or asyncio.ensure_future(anext(events))
                left_s = deadline_s - (self.record.elapsed_s - submitted_s)
                wait_s = max(0.0, min(self.desk.keep_alive_s, left_s))
                await asyncio.wait({coming, gone}, timeout=wait_s, return_when="FIRST_COMPLETED")
                if coming.done():
                    try:
                        event = coming.result()
                    except StopAsyncIteration:
                        return
                    coming = None
                    self._note(event, submitted_s)
                    yield event
                elif gone.done():
                    raise CallerGone
                elif self.record.elapsed_s - submitted_s >= deadline_s:
                    raise DeadlineExceeded(f"it took longer than {deadline_s:g} s")
                else:
                    yield None
        finally:
            self.job.cancel()
            await _cancelled(gone, coming)

    def _note(self, event: Event, submitted_s: float) -> None:
        if isinstance(event, Failed):
            raise event.error
        if isinstance(event, Segments):
            self.record.heard()
        elif isinstance(event, Done):
            self.record.answered(event.transcript, submitted_s)


async def _hang_up(receive: Receive) -> None:
    """Wait until the caller hangs up."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cancelled(*tasks: asyncio.Future[Any] | None) -> None:
    """Cancel what still runs, and wait until it has ended."""
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
