"""NVIDIA GPUs."""

from __future__ import annotations

import torch

from speech_endpoint.whisper.backends.base import Backend


class CudaBackend(Backend):
    """PyTorch's own kernels on a GPU, which works while the host goes on."""

    def synchronize(self) -> None:
        torch.cuda.synchronize(self.device)
