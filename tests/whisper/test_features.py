"""The spectrogram against transformers' own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import WhisperFeatureExtractor

from speech_endpoint.whisper.batching.sequence import DecodeRequest, RequestGroup
from speech_endpoint.whisper.model.features import LogMel, sounding_frames

pytestmark = [pytest.mark.pure, pytest.mark.core]


@pytest.mark.parametrize("mel_bins", [80, 128])
@pytest.mark.parametrize("seconds", [0.5, 12.3, 30.0])
def test_log_mel_is_that_of_transformers(mel_bins: int, seconds: float) -> None:
    extractor = WhisperFeatureExtractor(feature_size=mel_bins)
    time = np.arange(int(seconds * 16_000)) / 16_000
    noise = np.random.default_rng(0).normal(0, 0.01, time.size)
    chirp = 0.3 * np.sin(2 * np.pi * (200 + 150 * time) * time)
    waveform = (chirp + noise).astype(np.float32)
    expected = extractor(waveform, sampling_rate=16_000, return_tensors="pt").input_features
    found = LogMel(mel_bins, torch.device("cpu"))([waveform])
    assert found.shape == (1, mel_bins, 3000)
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=0)


def test_each_waveform_has_a_floor_of_its_own() -> None:
    """A loud window beside a quiet one must not flatten it."""
    log_mel = LogMel(80, torch.device("cpu"))
    random = np.random.default_rng(0)
    loud, quiet = (random.normal(0, scale, 16_000).astype(np.float32) for scale in (0.5, 0.0005))
    torch.testing.assert_close(log_mel([loud, quiet])[1:], log_mel([quiet]))


def test_a_recording_on_the_device_has_the_features_of_one_on_the_host() -> None:
    """A request's slices may be views of either, and are read as one window."""
    waveform = np.random.default_rng(0).normal(0, 0.1, 40_000).astype(np.float32)
    held = torch.from_numpy(waveform)
    cuts = (slice(100, 20_000), slice(30_000, 40_000))
    requests = [
        DecodeRequest(RequestGroup(), 0, 0.0, tuple(samples[cut] for cut in cuts))
        for samples in (waveform, held)
    ]
    on_host, on_device = (LogMel(80, held.device)([each.waveform()]) for each in requests)
    assert torch.equal(on_host, on_device)
    assert [each.duration_s for each in requests] == [29_900 / 16_000] * 2


@given(n_samples=st.integers(0, 480_000), loudness=st.floats(1e-3, 1.0))
def test_sound_ends_where_it_is_followed_by_zeros(n_samples: int, loudness: float) -> None:
    waveform = np.random.default_rng(0).normal(0, loudness, n_samples).astype(np.float32)
    n_frames = sounding_frames(LogMel(80, torch.device("cpu"))([waveform])[0])
    # The spectrogram's frames, of 25 ms, reach over the end.
    assert n_samples / 320 - 1 <= n_frames <= min(n_samples / 320 + 3, 1500)
