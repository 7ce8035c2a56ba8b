"""A network of any size, for its speed."""

from __future__ import annotations

import pytest
import torch

from benchmarks.kernels import RandomWeights
from speech_endpoint.whisper.checkpoint.published import Sizes

pytestmark = pytest.mark.pure
SMALL = {
    "model.encoder.conv1.weight": torch.zeros(4, 6, 3),
    "model.encoder.layers.0.fc1.weight": torch.zeros(16, 4),
    "model.encoder.layers.0.fc1.bias": torch.zeros(16),
    "model.decoder.embed_tokens.weight": torch.zeros(100, 4),
}


def test_random_weights_are_those_of_a_larger_network() -> None:
    sizes = Sizes(
        vocab_size=200, d_model=8, encoder_layers=9, encoder_attention_heads=2, decoder_layers=1,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, num_mel_bins=5,
    )  # fmt: skip
    weights = RandomWeights(sizes, SMALL)
    assert weights["model.encoder.conv1.weight"].shape == (8, 5, 3)
    assert weights["model.encoder.layers.7.fc1.weight"].shape == (32, 8)
    assert weights["model.decoder.embed_tokens.weight"].shape == (200, 8)
    assert "model.encoder.layers.8.fc1.bias" in weights
    assert "model.encoder.layers.8.fc2.bias" not in weights
