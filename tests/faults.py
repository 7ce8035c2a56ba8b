"""Faults at PyTorch's operations: where memory is taken, and where a request can be interrupted."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

Condition = Callable[[int], bool]
"""Whether the n-th operation of a place fails, from 0 on."""


class Fault(TorchDispatchMode):
    """A context in whose thread operations of one place in the code raise an error."""

    def __init__(
        self,
        place: str,
        fails: Condition,
        error: Callable[[str], BaseException] = torch.OutOfMemoryError,
    ) -> None:
        """
        Args:
            place: a function's name, or the end of a file's path: whatever is done there, or in
                what it calls, is of this place.
            fails: says which.
            error: makes what is raised of a message.
        """
        super().__init__()
        self.place, self.fails, self.error = place, fails, error
        self.n_operations = self.n_faults = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if self._is_there():
            self.n_operations += 1
            if self.fails(self.n_operations - 1):
                self.n_faults += 1
                raise self.error("a fault, on purpose")
        return function(*args, **(kwargs or {}))

    def _is_there(self) -> bool:
        frame = sys._getframe(2)
        while frame is not None:
            code = frame.f_code
            if code.co_name == self.place or code.co_filename.endswith(self.place):
                return True
            frame = frame.f_back
        return False


class SmallMemory(TorchDispatchMode):
    """A context in whose thread no tensor that is allocated can be larger than a limit."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__()
        self.max_bytes = max_bytes

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        is_new = function.overloadpacket in (torch.ops.aten.empty, torch.ops.aten.zeros)
        if is_new and result.nbytes > self.max_bytes:
            raise torch.OutOfMemoryError(f"Tried to allocate {result.nbytes} bytes")
        return result
