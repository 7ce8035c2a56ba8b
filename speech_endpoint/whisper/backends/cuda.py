"""NVIDIA GPUs."""

from __future__ import annotations

import torch

from speech_endpoint.whisper.backends.base import Backend


class CudaBackend(Backend):
    """PyTorch's own kernels on a GPU, which works while the host goes on."""

    def free_bytes(self) -> int:
        free, _ = torch.cuda.mem_get_info(self.device)
        # Of what PyTorch has taken from the device, it gives out again what no tensor uses.
        reserved = torch.cuda.memory_reserved(self.device)
        return free + reserved - torch.cuda.memory_allocated(self.device)

    def synchronize(self) -> None:
        torch.cuda.synchronize(self.device)
