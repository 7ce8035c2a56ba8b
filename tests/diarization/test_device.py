"""The bundle's pipeline on a GPU, of which there need be none: nothing is computed, but where a
tensor on the GPU meets one on the CPU, PyTorch raises as it would there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch._subclasses import FakeTensor, FakeTensorMode

from speech_endpoint.diarization.limits import SpeakerLimits
from speech_endpoint.diarization.networks.bundle import BundledDiarization
from speech_endpoint.transcript import SAMPLE_RATE_HZ
from speech_endpoint.units import finish

GPU = torch.device("cuda")


def invented(tensor: FakeTensor) -> np.ndarray:
    """Values for what comes back from the GPU.

    Only the first local speaker talks, no two sides of a moment are alike, all embeddings are.
    """
    values = np.ones(tensor.shape, str(tensor.dtype).removeprefix("torch."))
    if tensor.dtype == torch.uint8:
        values[..., 1:] = 0
    return values if tensor.ndim > 1 else np.zeros_like(values)


@pytest.mark.parametrize("bfloat16", [True, False])
def test_no_tensor_of_the_cpu_meets_one_of_the_gpu(diarization_bundle, monkeypatch, bfloat16):
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation: bfloat16)
    monkeypatch.setattr(FakeTensor, "numpy", invented, raising=False)
    pipeline = BundledDiarization(diarization_bundle)
    with FakeTensorMode(allow_non_fake_inputs=True):
        pipeline.to(GPU)
        found = finish(pipeline.diarize(np.zeros(30 * SAMPLE_RATE_HZ, np.float32), SpeakerLimits()))
    assert len(found.turns) == 1
