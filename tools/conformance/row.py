"""A row of the table: a client or a rule, what it needs, and whether the server gives it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tools.conformance.target import Target

MAX_REASON_CHARS = 160
HEAD = ("| API | client or rule | needs | result | why |", "| --- | --- | --- | --- | --- |")
VERDICTS = {True: "pass", False: "**fail**", None: "not run"}


class Broken(Exception):
    """What the server did instead of what the row needs."""


class NotInstalled(Exception):
    """The row's client is not here."""


@dataclass(frozen=True)
class Row:
    """One thing that is asked of a server.

    Attributes:
        dialect: whose API it is of: "openai", "hugging face", "webservice" or "whisper.cpp".
        client: who asks, with the place of the code that the request is written after.
        needs: what has to come back.
        check: asks; raises Broken, or whatever its client raises.
    """

    dialect: str
    client: str
    needs: str
    check: Callable[[Target], None]


@dataclass(frozen=True)
class Outcome:
    """What became of a row. `passed` is None where its client is not installed."""

    row: Row
    passed: bool | None
    reason: str = ""


def expect(condition: object, reason: str) -> None:
    """Go on only if so."""
    if not condition:
        raise Broken(reason)


def run(rows: Iterable[Row], target: Target) -> Iterator[Outcome]:
    """Ask for everything, one after the other."""
    for row in rows:
        try:
            row.check(target)
        except NotInstalled as missing:
            yield Outcome(row, None, f"not installed: {missing}")
        except Exception as error:  # Clients raise what they like.
            name = "" if isinstance(error, Broken) else f"{type(error).__name__}: "
            yield Outcome(row, False, one_line(f"{name}{error}"))
        else:
            yield Outcome(row, True)


def one_line(text: str) -> str:
    """Text that fits into a cell."""
    line = " ".join(text.split()).replace("|", "\\|")
    return line if len(line) <= MAX_REASON_CHARS else line[: MAX_REASON_CHARS - 1] + "…"


def line(outcome: Outcome) -> str:
    """A line of the table, under HEAD."""
    row = outcome.row
    cells = [row.dialect, row.client, row.needs, VERDICTS[outcome.passed], outcome.reason]
    return " ".join(f"| {cell}" if cell else "|" for cell in cells) + " |"
