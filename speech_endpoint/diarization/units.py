"""Long work in short units: between two of them, a server does other work on the same thread."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

import torch

from speech_endpoint.hardware import map_on_threads

Item = TypeVar("Item")
Result = TypeVar("Result")

Units = Generator[None, None, Result]
"""Yields after each unit of work, and returns the result."""


def map_in_units(
    function: Callable[[Item], Result], items: Iterable[Item], device: torch.device
) -> Units[list[Result]]:
    """Apply `function` to every item; a unit is one item, on a CPU one for each thread.

    Returns:
        The results, in the order of `items`.
    """
    at_once = torch.get_num_threads() if device.type == "cpu" else 1
    waiting, results = iter(items), []
    while unit := list(itertools.islice(waiting, at_once)):
        results += map_on_threads(function, unit, device)
        yield
    return results


def finish(units: Units[Result]) -> Result:
    """Do all units, one after the other, and return the result."""
    while True:
        try:
            next(units)
        except StopIteration as end:
            result: Result = end.value
            return result
