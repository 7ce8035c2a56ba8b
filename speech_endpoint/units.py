"""Long work in short units: between two of them, a server does other work on the same thread."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

Result = TypeVar("Result")

Units = Generator[None, None, Result]
"""Yields after each unit of work, and returns the result."""


def finish(units: Generator[object, None, Result]) -> Result:
    """Do all units, one after the other, and return the result."""
    while True:
        try:
            next(units)
        except StopIteration as end:
            result: Result = end.value
            return result
