"""Whisper's log-mel spectrogram (Radford et al. 2022), on any device."""

from __future__ import annotations

import numpy as np
import torch
from transformers import WhisperFeatureExtractor

from speech_endpoint.transcript import SAMPLE_RATE_HZ

WINDOW_S = 30
WINDOW_SAMPLES = WINDOW_S * SAMPLE_RATE_HZ
N_FFT = 400
HOP_SAMPLES = 160
MEL_FRAMES = WINDOW_SAMPLES // HOP_SAMPLES  # 3000 frames of 10 ms
AUDIO_FRAMES = MEL_FRAMES // 2  # of the encoder's states, 20 ms


class LogMel:
    """Waveforms of at most 30 s to what the encoder reads; the filters are the checkpoint's own."""

    def __init__(self, extractor: WhisperFeatureExtractor, device: torch.device) -> None:
        self.filters = torch.from_numpy(
            np.asarray(extractor.mel_filters, dtype=np.float32).T.copy()
        ).to(device)
        self.hann = torch.hann_window(N_FFT, device=device)

    def __call__(self, waveforms: list[np.ndarray]) -> torch.Tensor:
        """Log-mel of each waveform, padded with silence to 30 s: shape (windows, mels, 3000), float32."""
        padded = torch.zeros(len(waveforms), WINDOW_SAMPLES)
        for row, waveform in zip(padded, waveforms, strict=True):
            row[: waveform.size] = torch.from_numpy(waveform[:WINDOW_SAMPLES])
        spectrum = torch.stft(
            padded.to(self.hann.device), N_FFT, HOP_SAMPLES, window=self.hann, return_complex=True
        )[..., :-1]
        mel = self.filters @ torch.view_as_real(spectrum).square().sum(dim=-1)
        log_mel = mel.clamp_(min=1e-10).log10_()
        floor = log_mel.amax(dim=(1, 2), keepdim=True) - 8.0
        return (torch.maximum(log_mel, floor) + 4.0) / 4.0
