"""Devices, threads and memory: what depends on the machine and on no model."""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def pick_device(device: str) -> torch.device:
    """The device that a setting names; "auto" is a GPU where there is one."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(device)


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return device.type == "cpu" and bool(native)


def map_on_threads(
    function: Callable[[Item], Result], items: Iterable[Item], device: torch.device
) -> list[Result]:
    """Apply `function` to every item: on a CPU in parallel, with one PyTorch thread per worker.

    Independent batches on one thread each are a quarter faster than all threads on one batch and,
    unlike those, no slower when the machine is busy with other work.

    Returns:
        The results, in the order of `items`.
    """
    n_threads = torch.get_num_threads()
    if device.type != "cpu" or n_threads == 1:
        return [function(item) for item in items]
    try:
        with ThreadPoolExecutor(
            n_threads, initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            return list(pool.map(function, items))
    finally:
        # New threads start with the number that was set last anywhere in the process.
        torch.set_num_threads(n_threads)


def balanced_batch_size(count: int, max_size: int) -> int:
    """The batch size that shares `count` items among the workers as evenly as batches allow.

    Args:
        count: how many items there are, at least 1.
        max_size: the largest batch.
    """
    n_threads = torch.get_num_threads()
    batches_per_worker = math.ceil(count / (max_size * n_threads))
    return math.ceil(count / (batches_per_worker * n_threads))


def trim_heap() -> None:
    """Return freed memory to the system, on Linux with glibc (`malloc_trim`); a no-op elsewhere.

    Many short-lived arrays of all sizes among a few long-lived ones make glibc's heaps grow by half
    a gigabyte per hour of audio. Trimmed pages have to be faulted in again, so call this after long
    pieces of work only.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def release_memory(device: torch.device) -> None:
    """Return what PyTorch and malloc keep for later use to the device and to the system."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    trim_heap()
