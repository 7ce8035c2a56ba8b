"""A job as its caller and the engine's thread see it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

from speech_endpoint.reception import Request
from speech_endpoint.service.events import Done, Event, Failed


class Handle:
    """A job: events come in from any thread, and go out in the caller's loop."""

    def __init__(
        self, request: Request, request_id: str, on_over: Callable[[Handle], None]
    ) -> None:
        """Made in the loop of the caller.

        Args:
            request: what is asked for.
            request_id: for logs.
            on_over: called once, from any thread, when nobody expects anything of it any more.
        """
        self.request, self.request_id = request, request_id
        self.finished = asyncio.Event()
        """Set, in the caller's loop, when it is over."""
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._on_over = on_over
        self._lock = threading.Lock()
        self._is_over = False

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or was cancelled."""
        return self._is_over

    async def events(self) -> AsyncIterator[Event]:
        """As `Job.events`."""
        while (event := await self._events.get()) is not None:
            yield event

    def cancel(self) -> None:
        """As `Job.cancel`."""
        self._end(None)

    def emit(self, event: Event) -> None:
        """Tell the caller; after the last event nothing more is told."""
        if isinstance(event, (Done, Failed)):
            self._end(event)
        elif not self._is_over:
            self._tell(event)

    def _end(self, last: Event | None) -> None:
        with self._lock:
            if self._is_over:
                return
            self._is_over = True
        if last is not None:
            self._tell(last)
        self._tell(None)
        self._on_over(self)

    def _tell(self, event: Event | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._receive, event)
        except RuntimeError:
            # The caller's loop is closed: there is nobody to tell.
            return

    def _receive(self, event: Event | None) -> None:
        self._events.put_nowait(event)
        if event is None:
            self.finished.set()
