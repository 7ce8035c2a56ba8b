"""Work on its way to replicas: whose goes next, and what is sent again when a replica dies.

A window's text depends on nothing but the window, so whoever decodes it writes the same.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import uuid
import weakref
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from speech_endpoint.cluster.replicas import Taken
from speech_endpoint.cluster.windows import SentWindow, WindowAnswer
from speech_endpoint.service.events import Unavailable
from speech_endpoint.transcript import Diarization, Waveform
from speech_endpoint.units import Units
from speech_endpoint.voices.voiceprint import EmbeddingModel
from speech_endpoint.whisper.batching.admission import WaitingWindows
from speech_endpoint.whisper.batching.sequence import (
    Caller,
    DecodeRequest,
    DecodeResult,
    MultilingualWindow,
)

MAX_UNTAKEN = 16
"""Windows sent that no replica has a slot for yet: enough that a free slot need not wait, and few
enough that a newcomer's is not behind all of a long file's."""
MAX_TRIES = 5
RETRY_S = 1.0
UNAVAILABLE_RETRY_S = 10.0

Answer = TypeVar("Answer")

logger = logging.getLogger(__name__)


async def persistently(what: str, work: Callable[[], Awaitable[Answer]]) -> Answer:
    """Do work that a replica may die of, until one has done it.

    Raises:
        Unavailable: replica after replica has died.
        Exception: what the work itself failed of.
    """
    for n in range(1, MAX_TRIES + 1):
        try:
            return await work()
        except RayTaskError as error:
            # The work's own error: another replica would say the same.
            raise error.cause from error
        except (RayError, RayServeException) as error:
            logger.warning("%s was lost with its replica (%s)", what, type(error).__name__)
            if n < MAX_TRIES:
                await asyncio.sleep(RETRY_S * n)
    raise Unavailable(
        f"{what} was lost with its replica {MAX_TRIES} times; try again later",
        UNAVAILABLE_RETRY_S,
        "loading",
    )


class WindowDispatcher:
    """Sends windows to replicas, callers in turn. Of one event loop."""

    def __init__(self, transcriber: DeploymentHandle) -> None:
        self._decode = transcriber.options(stream=True).decode
        self._waiting = WaitingWindows()
        self._turns: dict[int, asyncio.Event] = {}
        """Of those that wait, by the identity of the request."""
        self._names = weakref.WeakKeyDictionary[Caller, str]()
        """As replicas know the callers of all ingresses."""
        self._n_untaken = 0

    async def decode(self, request: DecodeRequest) -> DecodeResult | MultilingualWindow:
        """Have a window decoded. If this is cancelled, all of its caller's are to be.

        Raises:
            OutOfMemory: a replica has not the memory for it.
            Unavailable: replica after replica has died of it.
        """
        answer = await persistently("a window", lambda: self._send(request))
        return answer.result(request)

    async def _send(self, request: DecodeRequest) -> WindowAnswer:
        turn = self._turns[id(request)] = asyncio.Event()
        self._waiting.add(request)
        self._let_go()
        try:
            await turn.wait()
        except asyncio.CancelledError:
            self._waiting.drop(request.group.caller)
            if turn.is_set():
                self._take()
            raise
        finally:
            self._turns.pop(id(request), None)
        is_untaken = True
        name = self._names.setdefault(request.group.caller, uuid.uuid4().hex)
        said = self._decode.remote(SentWindow.of(request, name))
        try:
            async for message in said:
                if isinstance(message, Taken):
                    is_untaken = False
                    self._take()
                else:
                    answer: WindowAnswer = message
                    return answer
        finally:
            said.cancel()
            if is_untaken:
                self._take()
        raise RayServeException("the replica ended without an answer")

    def _take(self) -> None:
        self._n_untaken -= 1
        self._let_go()

    def _let_go(self) -> None:
        while self._waiting and self._n_untaken < MAX_UNTAKEN:
            free = MAX_UNTAKEN - self._n_untaken
            # How many slots there are is the replicas' affair: here nobody holds any.
            for request in self._waiting.take(free, MAX_UNTAKEN, Counter()):
                if turn := self._turns.get(id(request)):
                    self._n_untaken += 1
                    turn.set()


class RemoteDiarizer:
    """Tells speakers apart on a replica; to be called from a thread of its own."""

    embedding_model: EmbeddingModel | None = None
    """Of the replicas, once one is met; None: voices cannot be compared."""
    is_met = False
    """Whether a replica has said what it can do."""

    def __init__(self, diarizer: DeploymentHandle, loop: asyncio.AbstractEventLoop) -> None:
        self._diarizer, self._diarize, self._loop = diarizer, diarizer.diarize, loop

    async def meet(self) -> None:
        """Learn from a replica which voices it can compare."""
        self.embedding_model = await self._diarizer.embedding_model.remote()
        self.is_met = True

    def stream(
        self,
        waveform: Waveform,
        *,
        num_speakers: int | None = None,
        min_speakers: int | None = None,
        max_speakers: int | None = None,
    ) -> Units[Diarization]:
        """As `Diarizer.stream`, in one unit."""

        async def ask() -> Diarization:
            asked = self._diarize.remote(waveform, num_speakers, min_speakers, max_speakers)
            try:
                said: Diarization = await asked
                return said
            finally:
                asked.cancel()

        asking = asyncio.run_coroutine_threadsafe(persistently("a recording", ask), self._loop)
        yield
        try:
            return asking.result()
        except concurrent.futures.CancelledError:
            raise asyncio.CancelledError from None
        finally:
            asking.cancel()
