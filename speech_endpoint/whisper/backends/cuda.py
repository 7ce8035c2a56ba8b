"""NVIDIA GPUs."""

from __future__ import annotations

import torch
from torch import Tensor

from speech_endpoint.transcript import Waveform
from speech_endpoint.whisper.backends.base import Backend

# Of the memory that is free, so much may be a recording.
MAX_HELD = 0.05


class CudaBackend(Backend):
    """PyTorch's own kernels on a GPU, which works while the host goes on."""

    warms_up = True

    def free_bytes(self) -> int:
        free, _ = torch.cuda.mem_get_info(self.device)
        # Of what PyTorch has taken from the device, it gives out again what no tensor uses.
        reserved = torch.cuda.memory_reserved(self.device)
        return free + reserved - torch.cuda.memory_allocated(self.device)

    def hold(self, waveform: Waveform) -> Waveform | Tensor:
        """On the GPU: one copy, and not one a window; not where many hours would take slots' place.

        By the driver's own pinned buffer: to pin an hour of audio takes as long as to copy it.
        """
        if waveform.nbytes > MAX_HELD * self.free_bytes():
            return waveform
        return torch.from_numpy(waveform).to(self.device)

    def synchronize(self) -> None:
        torch.cuda.synchronize(self.device)
