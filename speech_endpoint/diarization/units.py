"""Many items of work in units of `speech_endpoint.units`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import TypeVar

import torch

from speech_endpoint.hardware import map_on_threads
from speech_endpoint.units import Units

Item = TypeVar("Item")
Result = TypeVar("Result")


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
