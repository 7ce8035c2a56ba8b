"""A job as its caller sees it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from speech_endpoint.parameters import InferenceConfig
from speech_endpoint.reception import Request
from speech_endpoint.service.events import Done, Event, Failed, Progress
from speech_endpoint.service.handle import Handle
from speech_endpoint.transcript import Transcript

pytestmark = pytest.mark.pure
PROGRESS = Progress(0.0, None, 0.0)
DONE = Done(Transcript(()))


def _with_handle(use: Callable[[Handle, list[Handle]], Awaitable[None]]) -> None:
    async def run() -> None:
        over: list[Handle] = []
        await use(Handle(Request(b"", InferenceConfig()), "id", over.append), over)

    asyncio.run(run())


async def _all(handle: Handle) -> list[Event]:
    return [event async for event in handle.events()]


def test_events_of_another_thread_come_in_order_and_end_with_the_last() -> None:
    async def use(handle: Handle, over: list[Handle]) -> None:
        def work() -> None:
            for event in (PROGRESS, PROGRESS, DONE, PROGRESS, Failed(ValueError())):
                handle.emit(event)

        thread = threading.Thread(target=work)
        thread.start()
        assert await _all(handle) == [PROGRESS, PROGRESS, DONE]
        thread.join()
        assert over == [handle] and handle.finished.is_set()

    _with_handle(use)


def test_cancelling_ends_the_events_once_and_harms_nothing_later() -> None:
    async def use(handle: Handle, over: list[Handle]) -> None:
        handle.emit(PROGRESS)
        handle.cancel()
        handle.cancel()
        handle.emit(DONE)
        assert await _all(handle) == [PROGRESS]
        assert over == [handle] and handle.is_over

    _with_handle(use)


def test_telling_a_caller_whose_loop_is_gone_harms_nobody() -> None:
    handles: list[Handle] = []

    async def use(handle: Handle, over: list[Handle]) -> None:
        handles.append(handle)

    _with_handle(use)
    handles[0].emit(PROGRESS)
    handles[0].emit(DONE)
    assert handles[0].is_over
