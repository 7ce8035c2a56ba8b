"""What can go wrong, in a form that every protocol can speak of, and how callers are told.

What callers read is short, on one line and printable, whatever it quotes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

MAX_QUOTE_CHARACTERS = 80
"""An error quotes no more than this of what was given."""
MAX_WARNINGS = 20
"""Of an answer."""
# Longer integers are not spelled out: Python refuses to from 4,300 digits on, in quadratic time.
MAX_QUOTED_INTEGER_BITS = 256


class InvalidRequest(ValueError):
    """The caller's mistake: which field, what kind of mistake, and what is allowed."""

    def __init__(self, field: str, code: str, message: str) -> None:
        """
        Args:
            field: "inputs", "parameters", or "parameters.NAME".
            code: a short constant for programs: "missing", "invalid_type", "invalid_value",
                "too_large", "too_long", "unreadable", "unavailable".
            message: what was given and what is allowed, for a person; what is not printable in it
                is escaped.
        """
        message = printable(message)
        super().__init__(field, code, message)
        self.field, self.code, self.message = field, code, message

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class InvalidSettings(ValueError):
    """An environment variable that the endpoint cannot start with; the message holds no secret."""


class OutOfMemory(RuntimeError):
    """The machine has not the memory for a request; the message says what helps."""


class ModelUnavailable(RuntimeError):
    """A model that the settings name cannot be loaded; the message holds no token."""


def printable(text: str) -> str:
    """`text` on one line: what a terminal obeys, or UTF-8 cannot encode, is escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def quoted(value: Any, max_characters: int = MAX_QUOTE_CHARACTERS) -> str:
    """`value` as a message may quote it: printable, on one line, cut to `max_characters`.

    Cheap whatever the value: one that holds others is named by its kind.
    """
    if isinstance(value, (str, bytes)):
        text = repr(value[: max_characters + 1])
    elif isinstance(value, int) and value.bit_length() > MAX_QUOTED_INTEGER_BITS:
        text = "an integer of very many digits"
    elif value is None or isinstance(value, (bool, int, float)):
        text = repr(value)
    elif isinstance(value, (list, dict)):
        kind = "a list" if isinstance(value, list) else "an object"
        text = f"{kind} of length {len(value):,}"
    else:
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= max_characters else text[: max_characters - 1] + "…"


def without_tokens(text: str) -> str:
    """`text` with what looks like a Hub token, wherever it was put, left out."""
    return re.sub(r"hf_\w+", "<token>", text)


def first_warnings(warnings: Sequence[str]) -> tuple[str, ...]:
    """At most `MAX_WARNINGS` of the warnings, the last of which counts those that are left out."""
    shown = tuple(map(printable, warnings[:MAX_WARNINGS]))
    if len(warnings) <= MAX_WARNINGS:
        return shown
    n_more = len(warnings) - MAX_WARNINGS + 1
    return (*shown[:-1], f"… and {n_more:,} more warnings")
