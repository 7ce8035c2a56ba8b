"""What the parts of `make bench` have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Found = dict[str, Any]
"""What a section measured: plain JSON, kept in results/speed.json."""


@dataclass(frozen=True)
class Options:
    """How much is measured."""

    repeats: int = 3
    """Rounds; in each, every system has its turn in a new process."""
    quick: bool = False
    """Short recordings only."""
    everything: bool = False
    """Every system on every recording, the slow ones too."""
    only: str = ""
    """Systems whose name contains this; all when empty."""
    threads: int = 2
    speakers_too: bool = False
    """Let the growth curve include diarization."""

    def wants(self, name: str) -> bool:
        return self.only.lower() in name.lower()


@dataclass(frozen=True)
class Section:
    """One part of the benchmark."""

    name: str
    title: str
    measure: Callable[[Options], Found]
    tables: Callable[[Found], str]
    """What was found, as Markdown."""


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The first column to the left, numbers to the right."""
    lines = [f"| {' | '.join(head)} |", f"| --- |{' ---: |' * (len(head) - 1)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)


def number(value: float | None, digits: int = 2) -> str:
    """A figure for a table; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"
