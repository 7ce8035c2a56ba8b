"""Devices, threads and memory: what depends on the machine and on no model."""

from __future__ import annotations

import ctypes
import math
import re
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch

from speech_endpoint.errors import InvalidSettings

NVIDIA_NODES, NVIDIA_VERSION = Path("/dev"), Path("/proc/driver/nvidia/version")

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Accelerators:
    """What this machine has, and what PyTorch can use of it."""

    n_cuda: int
    """GPUs that PyTorch can use through CUDA (or ROCm)."""
    has_nvidia_node: bool
    """Whether the system shows an NVIDIA GPU, usable or not."""
    driver: str | None
    """Version of the NVIDIA driver."""
    torch_version: str
    cuda_version: str | None
    """The CUDA that PyTorch was built for; None: for none."""
    others: frozenset[str] = frozenset()
    """Other kinds that can be used: mps, xpu."""


def find_accelerators() -> Accelerators:
    """Ask the system and PyTorch."""
    version = NVIDIA_VERSION.read_text() if NVIDIA_VERSION.is_file() else ""
    driver = re.search(r"\b\d+\.\d+(\.\d+)?\b", version)
    usable = {
        "mps": torch.backends.mps.is_available(),
        "xpu": hasattr(torch, "xpu") and torch.xpu.is_available(),
    }
    return Accelerators(
        n_cuda=torch.cuda.device_count() if torch.cuda.is_available() else 0,
        has_nvidia_node=any(NVIDIA_NODES.glob("nvidia[0-9]*")),
        driver=driver[0] if driver else None,
        torch_version=str(torch.__version__),
        cuda_version=torch.version.cuda,
        others=frozenset(name for name, is_usable in usable.items() if is_usable),
    )


def pick_device(device: str, found: Accelerators | None = None) -> torch.device:
    """The device that a setting names; "auto" is a GPU where there is one.

    Args:
        device: auto, cpu, cuda, cuda:0, mps, …
        found: what there is; None: find out.

    Raises:
        InvalidSettings: it is not there, or there is an NVIDIA GPU that PyTorch cannot use:
            serving on the CPU in its place would be some fifty times slower, without a word.
    """
    found = found or find_accelerators()
    if device == "cpu" or (device == "auto" and not found.n_cuda and not found.has_nvidia_node):
        return torch.device("cpu")
    kind, _, index = device.partition(":")
    if kind in ("auto", "cuda"):
        if not found.n_cuda:
            raise InvalidSettings(_no_cuda(device, found))
        if index and int(index) >= found.n_cuda:
            raise InvalidSettings(
                f"DEVICE: {device} is not there; this machine has {found.n_cuda} GPU"
                f"{'s' if found.n_cuda > 1 else ''}, counted from cuda:0"
            )
        return torch.device("cuda" if device == "auto" else device)
    if kind != "cpu" and kind not in found.others:
        raise InvalidSettings(f"DEVICE: {device} is not there, or not for this PyTorch; use auto")
    return torch.device(device)


def _no_cuda(device: str, found: Accelerators) -> str:
    if not found.has_nvidia_node:
        return f"DEVICE: {device}, and this machine shows no NVIDIA GPU; use auto or cpu"
    build = f"for CUDA {found.cuda_version}" if found.cuda_version else "without CUDA"
    return (
        f"DEVICE: {device}, and PyTorch {found.torch_version} ({build}) cannot use the NVIDIA GPU"
        f" of this machine, whose driver is {found.driver or 'unknown'}; update the driver, install"
        " a PyTorch for its CUDA (see requirements.txt), or set DEVICE=cpu"
    )


def prepare_device(device: torch.device) -> None:
    """Set PyTorch up for a GPU: which one, for the calling thread; how exact, for the process.

    cuDNN rounds convolutions of float32 to TF32 unless told otherwise, and products of float16 sum
    in float16 where they are split. Attention by cuDNN makes a plan for every shape, half a second
    each. Other devices need nothing.
    """
    if device.type != "cuda":
        return
    if device.index is not None:
        torch.cuda.set_device(device)
    matmul = torch.backends.cuda.matmul
    matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    matmul.allow_fp16_reduced_precision_reduction = False
    matmul.allow_bf16_reduced_precision_reduction = False
    torch.backends.cuda.enable_cudnn_sdp(False)


def describe_device(device: torch.device) -> str:
    """A device for the log, a GPU with its name."""
    if device.type != "cuda":
        return str(device)
    return f"{device} ({torch.cuda.get_device_name(device)})"


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16."""
    if device.type == "cuda":
        # PyTorch emulates it on cards without it (T4), several times slower than float32.
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return device.type == "cpu" and bool(native)


def half_precision(device: torch.device) -> torch.dtype:
    """The 16-bit format that the device computes fast in; float32 where it has none."""
    if has_bfloat16(device):
        return torch.bfloat16
    return torch.float16 if device.type == "cuda" else torch.float32


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
