"""What can go wrong, in a form that every protocol can speak of."""

from __future__ import annotations


class InvalidRequest(ValueError):
    """The caller's mistake: which field, what kind of mistake, and what is allowed."""

    def __init__(self, field: str, code: str, message: str) -> None:
        """
        Args:
            field: "inputs", or "parameters.NAME".
            code: a short constant for programs: "missing", "invalid_type", "invalid_value",
                "too_large", "too_long", "unreadable", "unavailable".
            message: what was given and what is allowed, for a person.
        """
        super().__init__(field, code, message)
        self.field, self.code, self.message = field, code, message

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class OutOfMemory(RuntimeError):
    """The machine has not the memory for a request; the message says what helps."""


class ModelUnavailable(RuntimeError):
    """A model that the settings name cannot be loaded; the message holds no token."""
