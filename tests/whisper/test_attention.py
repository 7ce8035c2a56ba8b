"""What is made of attention weights before a path is sought through them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from speech_endpoint.whisper.attention import MEDIAN_FRAMES, normalized_attention

pytestmark = pytest.mark.pure


@settings(deadline=None)
@given(
    n_heads=st.integers(1, 3),
    n_tokens=st.integers(1, 6),
    n_frames=st.integers(MEDIAN_FRAMES, 40),
    seed=st.integers(0, 1000),
)
def test_weights_are_normalised_over_tokens_and_smoothed_by_the_median_of_seven_frames(
    n_heads: int, n_tokens: int, n_frames: int, seed: int
) -> None:
    # Multiples of 1/64: two that are nearly equal are not told apart in float32 as in float64.
    shape, drawn = (n_heads, n_tokens, n_frames + 5), torch.Generator().manual_seed(seed)
    alignment = torch.randint(0, 64, shape, generator=drawn) / 64
    found = normalized_attention(alignment, n_frames).numpy()
    weights = alignment.double().numpy()[:, :, :n_frames]
    deviation = np.maximum(weights.std(axis=1, keepdims=True), 1e-6)
    mean = ((weights - weights.mean(axis=1, keepdims=True)) / deviation).mean(axis=0)
    side = MEDIAN_FRAMES // 2
    padded = np.pad(mean, ((0, 0), (side, side)), mode="reflect")
    expected = np.median(sliding_window_view(padded, MEDIAN_FRAMES, axis=1), axis=-1)
    np.testing.assert_allclose(found, expected, atol=1e-3)
