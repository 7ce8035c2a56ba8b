"""What each kind of device does its own way; `choose_backend` is the only place that asks which."""

from __future__ import annotations

import logging
from typing import Literal

import torch

from speech_endpoint.hardware import pick_device, prepare_device
from speech_endpoint.whisper.backends.base import Backend
from speech_endpoint.whisper.backends.cpu import CpuBackend
from speech_endpoint.whisper.backends.cuda import CudaBackend

logger = logging.getLogger(__name__)


def choose_backend(
    device: str,
    dtype: Literal["auto", "float32", "bfloat16", "float16"],
    quantization: Literal["auto", "none", "int8"],
    beside_bytes: int = 0,
) -> Backend:
    """The backend for a device and number formats as settings name them.

    Args:
        device: auto, cpu, cuda, cuda:0, …
        dtype: auto: float16, but on a CPU what it multiplies natively.
        quantization: of a CPU's linear layers; elsewhere nothing is quantized.
        beside_bytes: memory of a GPU that other models take while windows are decoded.
    """
    chosen = pick_device(device)
    prepare_device(chosen)
    if chosen.type == "cpu":
        return CpuBackend(dtype, quantization)
    if quantization == "int8":
        logger.warning("QUANTIZATION=int8 is for CPUs; on %s nothing is quantized", chosen)
    number_format = torch.float16 if dtype == "auto" else getattr(torch, dtype)
    backend = (CudaBackend if chosen.type == "cuda" else Backend)(chosen, number_format)
    backend.reserved_bytes += beside_bytes
    return backend
