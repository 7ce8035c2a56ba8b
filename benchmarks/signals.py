"""Signals in which nobody speaks: every word heard there is a hallucination."""

from __future__ import annotations

import numpy as np

from speech_endpoint.transcript import SAMPLE_RATE_HZ

SIGNALS = ("silence", "white_noise", "pink_noise", "tone")
# Levels are root mean squares, against a sample of 1.
NOISE_S, NOISE_DBFS = 60.0, -30.0
TONE_S, TONE_DBFS, TONE_HZ = 20.0, -20.0, 440.0


def signal(name: str) -> np.ndarray:
    """One of SIGNALS: (samples,), 16 kHz."""
    duration_s, dbfs = (TONE_S, TONE_DBFS) if name == "tone" else (NOISE_S, NOISE_DBFS)
    samples = np.zeros(round(duration_s * SAMPLE_RATE_HZ))
    if name == "silence":
        return samples
    if name == "tone":
        samples = np.sin(2 * np.pi * TONE_HZ * np.arange(samples.size) / SAMPLE_RATE_HZ)
    else:
        white, other = np.random.default_rng(0).standard_normal((2, samples.size))
        # Power that falls as 1 / frequency, above 20 Hz.
        weights = np.sqrt(np.maximum(np.fft.rfftfreq(samples.size, 1 / SAMPLE_RATE_HZ), 20.0))
        pink = np.fft.irfft(np.fft.rfft(other) / weights, samples.size)
        samples = white if name == "white_noise" else pink
    return samples * 10 ** (dbfs / 20) / np.sqrt(np.mean(samples**2))
