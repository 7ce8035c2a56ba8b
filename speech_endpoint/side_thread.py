"""Units of work on a thread of their own, beside what a GPU does for others."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import Future, InvalidStateError
from queue import SimpleQueue
from typing import Any, TypeVar

import torch

from speech_endpoint.hardware import prepare_device
from speech_endpoint.units import Units

Result = TypeVar("Result")


class SideThread:
    """Does the units of several jobs in turns; on a GPU, on a stream of its own.

    Work that has a unit under way when it is cancelled ends after that unit.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._waiting: SimpleQueue[tuple[Future[Any], Units[Any]]] = SimpleQueue()
        threading.Thread(target=self._run, name="beside", daemon=True).start()

    def start(self, units: Units[Result]) -> Future[Result]:
        """Begin; the result, or what was raised. Cancelling it closes the units."""
        future: Future[Result] = Future()
        self._waiting.put((future, units))
        return future

    def _run(self) -> None:
        with _stream_of_its_own(self._device):
            while True:
                self._do_one(*self._waiting.get())

    def _do_one(self, future: Future[Result], units: Units[Result]) -> None:
        """One unit, in a call of its own: nothing of a job that is over is referred to after it."""
        if future.cancelled():
            units.close()
            return
        # Cancelled meanwhile: nobody asks for it any more.
        with contextlib.suppress(InvalidStateError):
            try:
                next(units)
            except StopIteration as end:
                future.set_result(end.value)
            except Exception as error:
                future.set_exception(error)
            else:
                self._waiting.put((future, units))


def _stream_of_its_own(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Kernels of a stream wait for those before them in it alone."""
    if device.type != "cuda":
        return contextlib.nullcontext()
    prepare_device(device)
    return torch.cuda.stream(torch.cuda.Stream(device))
