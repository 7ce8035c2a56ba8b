"""How much memory there is, and how to tell that it ran out."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path

import torch

# What allocators of PyTorch, oneDNN, cuBLAS and cuDNN say where they raise a plain RuntimeError.
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "alloc_failed", "bad_alloc")
# The memory controller's files, of version 2 and version 1 of control groups: the limit, what is
# used, and the entries of memory.stat that count cached files, which are given up when needed.
CGROUP_FILES = (
    ("memory.max", "memory.current", ("inactive_file", "active_file")),
    (
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        ("total_inactive_file", "total_active_file"),
    ),
)

SECONDS_BETWEEN_TRIMS = 10.0


class FreedMemory:
    """Hands back to the system what the C library keeps of freed memory.

    glibc keeps it in heaps that recordings of different lengths fragment: in 500 requests, a server
    with 1,350 MB grew by another 80. A trim takes 5 ms, so it is not done after every request.
    """

    def __init__(self, seconds_between: float = SECONDS_BETWEEN_TRIMS) -> None:
        self.seconds_between = seconds_between
        # Only glibc has it.
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        self._trimmed_at = time.monotonic()

    def hand_back(self) -> None:
        """Do so, unless it was done in the last `seconds_between`."""
        now = time.monotonic()
        if self._trim is not None and now - self._trimmed_at >= self.seconds_between:
            self._trimmed_at = now
            self._trim(0)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on the device or on the host."""
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    message = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in message for words in OUT_OF_MEMORY)


def n_that_fit(n_wanted: int, item_bytes: int, free_bytes: int | None, reserved_bytes: int) -> int:
    """How many items there is memory for, at least one.

    Args:
        n_wanted: no more than so many.
        item_bytes: of each.
        free_bytes: memory that may be taken; None: unknown, so that all are taken to fit.
        reserved_bytes: of it, for other things.
    """
    if free_bytes is None:
        return n_wanted
    return min(n_wanted, max(1, (free_bytes - reserved_bytes) // item_bytes))


def available_bytes(root: Path = Path("/")) -> int | None:
    """Memory that this process may still take, on Linux: the system's, and its control groups'.

    Args:
        root: of the file system.

    Returns:
        None where the system does not say.
    """
    found = [
        int(line.split()[1]) * 1024
        for line in _lines(root / "proc/meminfo")
        if line.startswith("MemAvailable:")
    ]
    found += [free for group in _memory_cgroups(root) if (free := _cgroup_bytes(group)) is not None]
    return min(found, default=None)


def _memory_cgroups(root: Path) -> list[Path]:
    """The directories of the process's control groups, each with all that it lies in."""
    groups: list[Path] = []
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        mounted = root / "sys/fs/cgroup" / ("memory" if controllers else "")
        # In a container, the path may be the host's, and the group be mounted as the uppermost.
        inner = Path(path.lstrip("/"))
        groups += [mounted / inner, *(mounted / parent for parent in inner.parents), mounted]
    return groups


def _cgroup_bytes(group: Path) -> int | None:
    """What a control group may still take; None without a limit."""
    for limit_file, used_file, cached_names in CGROUP_FILES:
        limit, used = (_number(group / name) for name in (limit_file, used_file))
        if limit is not None and used is not None:
            statistics = dict(line.split() for line in _lines(group / "memory.stat"))
            cached = sum(int(statistics.get(name, 0)) for name in cached_names)
            return max(0, limit - used + cached)
    return None


def _number(file: Path) -> int | None:
    """The number in a file; None where there is none: "max" means that there is no limit."""
    text = "".join(_lines(file))
    return int(text) if text.isdigit() else None


def _lines(file: Path) -> list[str]:
    """The lines of a file; none where it cannot be read."""
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
