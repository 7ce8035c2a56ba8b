"""The running batch of a replica: windows in from its event loop, what was written out."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field

from speech_endpoint.cluster.windows import SentWindow
from speech_endpoint.errors import OutOfMemory
from speech_endpoint.service.scheduler import LONG_SHARE, MAX_FAILED_STEPS
from speech_endpoint.transcription.transcriber import Transcriber
from speech_endpoint.whisper.batching.engine import Engine
from speech_endpoint.whisper.batching.sequence import (
    Caller,
    DecodeRequest,
    DecodeResult,
    MultilingualWindow,
)

Result = DecodeResult | MultilingualWindow

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Ticket:
    """A window at the engine."""

    request: DecodeRequest
    taken: Future[None] = field(default_factory=Future)
    """Done when a slot is there for it."""
    result: Future[Result] = field(default_factory=Future)


class WindowEngine:
    """One thread and one batch for all windows that come to a replica; callers' fail apart."""

    def __init__(self, transcriber: Transcriber, n_slots: int) -> None:
        """
        Args:
            transcriber: has the models.
            n_slots: windows decoded together.
        """
        self._engine = Engine(
            transcriber.model,
            n_slots,
            transcriber.draft,
            transcriber.draft_policy,
            long_share=LONG_SHARE,
        )
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._waiting: deque[Ticket] = deque()
        self._decoding: dict[int, Ticket] = {}
        """By the identity of the request."""
        self._callers = weakref.WeakValueDictionary[str, Caller]()
        """Who have windows here, as they are named in these."""
        self._n_failed_steps = 0
        self.failure: BaseException | None = None
        """Why nothing more will be decoded."""
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def submit(self, window: SentWindow) -> Ticket:
        """Let a window wait for a slot; from one thread."""
        # The engine shares slots and time among callers, so it is to know whose many windows are.
        caller = self._callers.setdefault(window.caller, Caller(window.is_short))
        ticket = Ticket(window.request(caller))
        self._inbox.put(lambda: self._waiting.append(ticket))
        if self.failure is not None:
            _tell(ticket.taken, None)
            _fail(ticket, self.failure)
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """Nobody waits for it any more: its slot is free within a step. From any thread."""
        self._inbox.put(lambda: self._drop(ticket))

    def _run(self) -> None:
        try:
            while True:
                self._take_messages(wait=not self._decoding)
                self._admit()
                if self._decoding:
                    self._step()
        except Exception as error:
            logger.exception("the engine has failed")
            self.failure = error
            for ticket in [*self._waiting, *self._decoding.values()]:
                _fail(ticket, error)

    def _take_messages(self, *, wait: bool) -> None:
        if wait:
            self._inbox.get()()
        with contextlib.suppress(queue.Empty):
            while True:
                self._inbox.get_nowait()()

    def _admit(self) -> None:
        while self._waiting and len(self._decoding) < self._engine.n_slots:
            ticket = self._waiting.popleft()
            self._decoding[id(ticket.request)] = ticket
            self._engine.add(ticket.request)
            _tell(ticket.taken, None)

    def _step(self) -> None:
        try:
            results = self._engine.step()
        except OutOfMemory as error:
            # The engine has given up all windows there were.
            self._give_up(list(self._decoding.values()), error)
            return
        except Exception as error:
            self._n_failed_steps += 1
            callers = self._engine.abandon()
            logger.exception("a decoding step failed; %d callers fail with it", len(callers))
            for caller in callers:
                self._engine.cancel(caller)
            failed = [t for t in self._decoding.values() if t.request.group.caller in callers]
            self._give_up(failed, error)
            if self._n_failed_steps >= MAX_FAILED_STEPS:
                raise
            return
        self._n_failed_steps = 0
        for result in results:
            _tell(self._decoding.pop(id(result.request)).result, result)

    def _give_up(self, tickets: list[Ticket], error: Exception) -> None:
        for ticket in tickets:
            del self._decoding[id(ticket.request)]
            _fail(ticket, error)

    def _drop(self, ticket: Ticket) -> None:
        with contextlib.suppress(ValueError):
            self._waiting.remove(ticket)
        if self._decoding.pop(id(ticket.request), None) is None:
            return
        caller = ticket.request.group.caller
        self._engine.cancel(caller)
        # Others of the caller's may be waited for still: they begin anew.
        for other in self._decoding.values():
            if other.request.group.caller is caller:
                self._engine.add(other.request)


def _tell(future: Future, value: object) -> None:
    """Say it, unless nobody listens any more."""
    with contextlib.suppress(InvalidStateError):
        future.set_result(value)


def _fail(ticket: Ticket, error: BaseException) -> None:
    with contextlib.suppress(InvalidStateError):
        ticket.taken.set_exception(error)
    with contextlib.suppress(InvalidStateError):
        ticket.result.set_exception(error)
