"""The encoder, in the number formats that a CPU is given by itself."""

from __future__ import annotations

import pytest
import torch
from paths import AUSTEN, KENNEDY, MODELS, PHONE_CALL

from speech_endpoint.audio.decoding.decode import decode_audio
from speech_endpoint.transcript import SAMPLE_RATE_HZ
from speech_endpoint.whisper.backends import choose_backend
from speech_endpoint.whisper.checkpoint import Checkpoint, load_checkpoint
from speech_endpoint.whisper.model.encoder import Encoder
from speech_endpoint.whisper.model.features import LogMel


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return load_checkpoint(str(MODELS / "whisper-base"))


@pytest.fixture(scope="module")
def log_mel(checkpoint: Checkpoint) -> torch.Tensor:
    waveforms = [
        decode_audio(file.read_bytes(), SAMPLE_RATE_HZ, 60.0)
        for file in (PHONE_CALL, AUSTEN, KENNEDY)
    ]
    return LogMel(checkpoint.config.num_mel_bins, torch.device("cpu"))(waveforms)


@torch.inference_mode()
@pytest.mark.parametrize("quantization", ["auto", "none"])
def test_audio_features_hardly_differ_from_those_of_float32(
    checkpoint: Checkpoint, log_mel: torch.Tensor, quantization: str
) -> None:
    exact = Encoder(checkpoint, choose_backend("cpu", "float32", "none"))(log_mel[:1])
    found = Encoder(checkpoint, choose_backend("cpu", "bfloat16", quantization))(log_mel[:1])
    assert found.dtype == torch.bfloat16
    # Measured: 0.02 in bfloat16, 0.03 with int8, of a deviation of 1.5.
    assert (found.float() - exact).abs().mean() < 0.03 * exact.std()


@torch.inference_mode()
def test_a_window_is_encoded_alike_alone_and_beside_others(
    checkpoint: Checkpoint, log_mel: torch.Tensor
) -> None:
    """To the last bit, and whatever the encoder has encoded before."""
    encoder = Encoder(checkpoint, choose_backend("cpu", "auto", "auto"))
    together = encoder(log_mel)
    for n in (2, 0, 1):
        assert torch.equal(encoder(log_mel[n : n + 1])[0], together[n])
