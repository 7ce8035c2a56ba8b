"""What the machine offers: devices, their instructions, memory."""

from __future__ import annotations

import ctypes
import sys

import torch


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


def release_freed_memory() -> None:
    """Give it back to the system, where that is Linux with glibc; elsewhere nothing is done.

    Between many short-lived arrays of all sizes and a few that stay, glibc's heaps only grow: half a
    gigabyte an hour of audio. What is given back has to be had again, so this is for after long
    stretches of work.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
