"""How many speakers a caller says there are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SpeakerLimits:
    """How many speakers there are to be, where that is known."""

    exact: int | None = None
    at_least: int | None = None
    at_most: int | None = None

    @classmethod
    def of(cls, exact: int | None, at_least: int | None, at_most: int | None) -> SpeakerLimits:
        """Limits of which an exact number overrides the others.

        Raises:
            ValueError: at least more are asked for than at most.
        """
        if exact is not None:
            return cls(exact, exact, exact)
        if at_least is not None and at_most is not None and at_least > at_most:
            raise ValueError(f"at least {at_least} speakers, and at most {at_most}")
        return cls(at_least if at_least == at_most else None, at_least, at_most)
