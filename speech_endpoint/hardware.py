"""Memory that was freed, but that the C library keeps for later."""

from __future__ import annotations

import ctypes
import sys


def release_freed_memory() -> None:
    """Give it back to the system, where that is Linux with glibc; elsewhere nothing is done.

    Between many short-lived arrays of all sizes and a few that stay, glibc's heaps only grow: half a gigabyte an hour
    of audio. What is given back has to be had again, so this is for after long stretches of work.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
