"""Signals in which nobody speaks."""

from __future__ import annotations

import numpy as np

RATE_HZ = 16_000
NOISE_S, TONE_S, TONE_HZ = 60.0, 20.0, 440.0
# Root mean squares, against a sample of 1.
NOISE_DBFS, TONE_DBFS = -30.0, -20.0


def signals() -> dict[str, np.ndarray]:
    """By name: (samples,), float32, 16 kHz."""
    samples = round(NOISE_S * RATE_HZ)
    random = np.random.default_rng(0)
    white, other = random.standard_normal(samples), random.standard_normal(samples)
    # Power that falls as 1 / frequency, above 20 Hz.
    weights = np.sqrt(np.maximum(np.fft.rfftfreq(samples, 1 / RATE_HZ), 20.0))
    tone = np.sin(2 * np.pi * TONE_HZ * np.arange(round(TONE_S * RATE_HZ)) / RATE_HZ)
    return {
        "silence": np.zeros(samples, np.float32),
        "white_noise": _at_level(white, NOISE_DBFS),
        "pink_noise": _at_level(np.fft.irfft(np.fft.rfft(other) / weights, samples), NOISE_DBFS),
        "tone": _at_level(tone, TONE_DBFS),
    }


def _at_level(signal: np.ndarray, dbfs: float) -> np.ndarray:
    rms = np.sqrt(np.mean(np.square(signal)))
    return (signal * (10 ** (dbfs / 20) / rms)).astype(np.float32)
