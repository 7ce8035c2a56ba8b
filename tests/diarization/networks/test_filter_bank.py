"""Filter banks, against torchaudio's."""

from __future__ import annotations

import pytest
import torch
import torchaudio.compliance.kaldi as kaldi

from speech_endpoint.diarization.networks.filter_bank import FilterBank
from speech_endpoint.transcript import SAMPLE_RATE_HZ


def kaldi_fbank(waveform: torch.Tensor) -> torch.Tensor:
    return kaldi.fbank(
        waveform[None] * 2**15,
        num_mel_bins=80,
        sample_frequency=SAMPLE_RATE_HZ,
        window_type="hamming",
        dither=0.0,
    )


@pytest.mark.parametrize("n_samples", [400, 559, 560, 48_000])
def test_filter_banks_are_those_of_kaldi(phone_call, n_samples):
    speech = torch.from_numpy(phone_call.waveform[8 * SAMPLE_RATE_HZ :][:n_samples])
    torch.testing.assert_close(FilterBank()(speech), kaldi_fbank(speech), rtol=1e-4, atol=1e-3)


def test_silence_is_as_silent_as_kaldis():
    silence = torch.zeros(16_000)
    torch.testing.assert_close(FilterBank()(silence), kaldi_fbank(silence))
