"""A kind of work's part of a thread's time, while there is other work."""

from __future__ import annotations

# It may be so far behind its share, and not further: what it did not need, it cannot save up.
MAX_CREDIT_S = 1.0


class Share:
    """Says when the next unit of a kind of work is due. Arithmetic only."""

    def __init__(self, part: float) -> None:
        """
        Args:
            part: of the time, between 0 and 1.
        """
        self._earned_per_s = part / (1 - part)
        self._credit_s = 0.0

    @property
    def is_due(self) -> bool:
        """Whether less has been spent than the part of the time."""
        return self._credit_s > 0

    def earn(self, others_s: float) -> None:
        """Other work has taken so long."""
        self._credit_s = min(MAX_CREDIT_S, self._credit_s + others_s * self._earned_per_s)

    def spend(self, own_s: float) -> None:
        """A unit has taken so long."""
        self._credit_s -= own_s
