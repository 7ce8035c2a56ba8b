"""Sounds in which nobody speaks."""

from __future__ import annotations

import numpy as np

RATE_HZ = 16_000
DURATION_S = 10.0
NOISE_LEVEL = 0.03
"""Root mean square of the noises, −30 dBFS."""


def signals() -> dict[str, np.ndarray]:
    """Each by its name: (samples,), float32, 16 kHz."""
    n_samples = round(DURATION_S * RATE_HZ)
    random = np.random.default_rng(0)
    white, other = random.standard_normal((2, n_samples))
    frequencies = np.fft.rfftfreq(n_samples, 1 / RATE_HZ)
    # Power falls as 1 / frequency, above 20 Hz.
    pink = np.fft.irfft(np.fft.rfft(other) / np.sqrt(np.maximum(frequencies, 20.0)), n_samples)
    tone = np.sin(2 * np.pi * 440 * np.arange(n_samples) / RATE_HZ)
    found = {"white_noise": white, "pink_noise": pink, "tone": tone}
    levelled = {name: sound * NOISE_LEVEL / sound.std() for name, sound in found.items()}
    return {
        "silence": np.zeros(n_samples, np.float32),
        **{name: sound.astype(np.float32) for name, sound in levelled.items()},
    }
