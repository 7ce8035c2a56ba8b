"""A GPU that is not there: shapes and devices of every operation, without a number computed.

Operations that mix tensors of the host with those of a GPU raise here, as on the GPU itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from benchmarks.gpu.models import LARGE_V3, random_checkpoint
from speech_endpoint.audio.vad import GPU_BLOCK_FRAMES, SileroVAD
from speech_endpoint.whisper.attention import normalized_attention
from speech_endpoint.whisper.backends.cuda import CudaBackend
from speech_endpoint.whisper.model.encoder import Encoder
from speech_endpoint.whisper.model.features import LogMel

GPU = torch.device("cuda", 0)
SMALL = LARGE_V3.model_copy(update={"encoder_layers": 2, "decoder_layers": 2})


@pytest.fixture
def fake_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTensorMode]:
    # It asks the driver whether it is there.
    monkeypatch.setattr(torch.nn.LSTM, "flatten_parameters", lambda _: None)
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    with torch.backends.cudnn.flags(enabled=False), mode, torch.inference_mode():
        yield mode


def test_devices_that_mix_are_found(fake_gpu: FakeTensorMode) -> None:
    with pytest.raises(RuntimeError, match="two different devices"):
        torch.zeros(3, device=GPU) + torch.zeros(3)


@pytest.mark.parametrize("held", [True, False])
def test_log_mel_and_encoder_stay_on_their_device(fake_gpu: FakeTensorMode, held: bool) -> None:
    """Whether the recording was copied there or not."""
    waveform: Any = np.zeros(5 * 16_000, np.float32)
    waveform = torch.from_numpy(waveform).to(GPU) if held else waveform
    backend = CudaBackend(GPU, torch.float16)
    encoder = Encoder(random_checkpoint(SMALL, torch.device("cpu")), backend)
    features = encoder(LogMel(SMALL.num_mel_bins, GPU)([waveform, waveform[:100]]))
    assert features.shape == (2, 1500, SMALL.d_model)
    assert features.device == GPU and features.dtype == torch.float16


@pytest.fixture(scope="module")
def silero_shapes() -> dict[str, torch.Size]:
    return {name: weight.shape for name, weight in SileroVAD().weights.items()}


@pytest.mark.parametrize("n_frames", [300, GPU_BLOCK_FRAMES + 5])
def test_voice_activity_leaves_its_device_with_the_probabilities(
    silero_shapes: dict[str, torch.Size],
    fake_gpu: FakeTensorMode,
    monkeypatch: pytest.MonkeyPatch,
    n_frames: int,
) -> None:
    fakes = {name: torch.zeros(shape) for name, shape in silero_shapes.items()}
    monkeypatch.setattr("speech_endpoint.audio.vad.load_file", lambda _: fakes)
    # There are no numbers to convert.
    monkeypatch.setattr(torch.Tensor, "numpy", lambda tensor: tensor)
    waveform: Any = torch.zeros(512 * n_frames)
    for samples in (waveform, waveform.to(GPU)):
        probabilities: Any = SileroVAD(GPU)(samples)
        assert probabilities.shape == (n_frames,) and probabilities.device.type == "cpu"


def test_what_word_times_are_made_of_stays_on_its_device(fake_gpu: FakeTensorMode) -> None:
    weights = torch.rand(6, 40, 1500, device=GPU)
    smoothed = normalized_attention(weights, 700)
    assert smoothed.device == GPU and smoothed.shape == (40, 700)
