"""What ends a block's work."""

from __future__ import annotations


class EngineFailed(RuntimeError):
    """What was in work is lost; the models have to be loaded again."""
