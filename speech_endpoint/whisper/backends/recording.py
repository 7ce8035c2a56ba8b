"""Work on a device that is recorded once and done again at the same addresses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

Tensors = tuple[Tensor, ...]


class Recorder(Protocol):
    """Records work on a device, and brings its results to the host."""

    def record(self, work: Callable[[], Tensors]) -> tuple[Callable[[], None], Tensors]:
        """What does the work again, at the same addresses, and where its results then lie.

        The work may be done while it is recorded.
        """

    def fetch(self, found: Tensors) -> Callable[[], Tensors]:
        """Begin to copy results to the host; what waits for them, and returns them."""


class CudaGraphs:
    """Records CUDA graphs, which share one pool of memory."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, work: Callable[[], Tensors]) -> tuple[Callable[[], None], Tensors]:
        current = torch.cuda.current_stream(self.device)
        aside = torch.cuda.Stream(self.device)
        aside.wait_stream(current)
        with torch.cuda.stream(aside):
            work()  # Libraries set themselves up in the first call, which cannot be recorded.
        current.wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        # Other threads may take memory meanwhile.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            found = work()
        return graph.replay, found

    def fetch(self, found: Tensors) -> Callable[[], Tensors]:
        return fetch(found)


def fetch(found: Tensors) -> Callable[[], Tensors]:
    """Begin to copy tensors of a GPU to the host; what waits for them, and returns them."""
    copies = tuple(_pinned_copy(tensor) for tensor in found)
    event = torch.cuda.Event()
    event.record(torch.cuda.current_stream(found[0].device))

    def wait() -> Tensors:
        event.synchronize()
        return copies

    return wait


def _pinned_copy(tensor: Tensor) -> Tensor:
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return host.copy_(tensor, non_blocking=True)
