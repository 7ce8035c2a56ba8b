"""Kaldi's filter banks, as CAM++ was trained on, on any device."""

from __future__ import annotations

import torch
import torchaudio.compliance.kaldi as kaldi
from torch import Tensor
from torch.nn.functional import pad

from speech_endpoint.transcript import SAMPLE_RATE_HZ

MEL_BINS = 80
HOP_SAMPLES, LENGTH_SAMPLES = SAMPLE_RATE_HZ // 100, SAMPLE_RATE_HZ // 40
FFT_SIZE = 512
PREEMPHASIS = 0.97
INT16_SCALE = 2**15
SMALLEST = torch.finfo(torch.float32).eps


class FilterBank:
    """`torchaudio.compliance.kaldi.fbank` with a Hamming window and no dither.

    torchaudio makes window and filters anew at every call, and copies constants to the device.
    """

    def __init__(self) -> None:
        self._window = torch.hamming_window(LENGTH_SAMPLES, periodic=False)
        filters, _ = kaldi.get_mel_banks(
            MEL_BINS, FFT_SIZE, SAMPLE_RATE_HZ, 20.0, 0.0, 100.0, -500.0, 1.0
        )
        self._filters = pad(filters, (0, 1)).T.contiguous()

    def to(self, device: torch.device) -> FilterBank:
        """Move the window and the filters to a device."""
        self._window, self._filters = self._window.to(device), self._filters.to(device)
        return self

    def __call__(self, waveform: Tensor) -> Tensor:
        """(samples,) at 16 kHz -> (frames, MEL_BINS) at 100 Hz, logarithms of energies."""
        frames = (waveform * INT16_SCALE).unfold(0, LENGTH_SAMPLES, HOP_SAMPLES)
        frames = frames - frames.mean(dim=1, keepdim=True)
        before = torch.cat([frames[:, :1], frames[:, :-1]], dim=1)
        windowed = torch.sub(frames, before, alpha=PREEMPHASIS) * self._window
        spectrum = torch.fft.rfft(windowed, n=FFT_SIZE).abs().square()
        return (spectrum @ self._filters).clamp(min=SMALLEST).log()
