"""How the channels of a recording become one, so that no voice is lost."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import av
import numpy as np
import numpy.typing as npt

Weights = npt.NDArray[np.float32]
"""(channels,): what each channel counts in the mix."""

MIN_ACTIVE_POWER = 1e-3
"""Of the loudest channel's: one below (30 dB) holds noise or the others' echo."""
MIN_MIX_POWER = 0.1
"""Of the power that a mix of the active channels, in phase, would have. A mix below it has lost a
voice: channels cancel, or one of many carries it. Stereo with one silent side has 0.5."""
MAX_OPPOSITE_CORRELATION = -0.5
MAX_PEAK = 16.0
"""Of samples in [-1, 1]: 24 dB over full scale. What lies beyond is damage, or on another scale."""
INTEGER_SCALES = (2.0**15, 2.0**23, 2.0**31)
MIN_SHARE_BEYOND = 0.02
"""Of a file's samples beyond a scale, from which they are on the next one."""


@cache
def downmix_weights(layout: str) -> Weights:
    """FFmpeg's weights for a mono mix of a channel layout, by its name ("stereo", "5.1", …).

    They are read off FFmpeg itself: the answer to an impulse in each channel. A layout that it
    cannot mix has equal weights.
    """
    n_channels = av.AudioLayout(layout).nb_channels
    if n_channels == 1:
        return np.ones(1, np.float32)
    identity = np.eye(n_channels, dtype=np.float32).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(identity, format="flt", layout=layout)
    frame.sample_rate = 16_000
    resampler = av.AudioResampler(format="flt", layout="mono", rate=16_000)
    try:
        frames = [*resampler.resample(frame), *resampler.resample(None)]
    except av.error.FFmpegError:
        return np.full(n_channels, 1 / n_channels, np.float32)
    weights = np.concatenate([each.to_ndarray().ravel() for each in frames])
    return weights.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Remedy:
    """Another way of mixing, where the usual one loses what is said."""

    weights: Weights
    scale: float
    """What samples are divided by."""
    warning: str


class ChannelPowers:
    """What is known of a recording's channels when all of it was heard."""

    def __init__(self, n_channels: int) -> None:
        self.products = np.zeros((n_channels, n_channels))
        """(channels, channels): the sums of products of the channels' samples."""
        self.peak = 0.0
        self._n_samples = 0
        self._n_beyond = np.zeros(len(INTEGER_SCALES))
        """Samples beyond full scale, and beyond each scale of integers but the last."""

    def add(self, block: npt.NDArray[np.float32]) -> None:
        """Count (channels, samples)."""
        magnitudes = np.abs(block)
        peak = float(magnitudes.max(initial=0.0))
        self._n_samples += block.size
        if peak > MAX_PEAK:
            scales = (MAX_PEAK, *INTEGER_SCALES[:-1])
            self._n_beyond += [np.count_nonzero(magnitudes > scale) for scale in scales]
        self.peak = max(self.peak, peak)
        # Not by `einsum`, which of 64 channels takes 25 times as long.
        exact = block.astype(np.float64)
        self.products += exact @ exact.T

    def remedy(self, weights: Weights | None) -> Remedy | None:
        """What to do where a mix with `weights` would lose a voice, or is in another scale.

        Args:
            weights: (channels,); None where channels are kept apart.
        """
        scale = self._scale()
        warnings = ["the file's floating-point samples are integers; scaled"] if scale != 1 else []
        powers = np.diag(self.products)
        loudest = int(np.argmax(powers))
        if weights is None:
            weights = np.ones(len(powers), np.float32)
        elif powers[loudest] > 0 and len(powers) > 1:
            active = powers >= MIN_ACTIVE_POWER * powers[loudest]
            signs = self._signs(loudest, active)
            in_phase = np.where(active, signs / active.sum(), 0.0).astype(np.float32)
            if self._power(weights) < MIN_MIX_POWER * self._power(in_phase):
                weights = in_phase
                warnings.append(_what_is_lost(active, signs))
        return Remedy(weights, scale, "; ".join(warnings)) if warnings else None

    def _scale(self) -> float:
        """What samples are to be divided by: 1, unless they are integers in a file of floats."""
        is_beyond = self._n_beyond > MIN_SHARE_BEYOND * self._n_samples
        return INTEGER_SCALES[int(is_beyond.sum()) - 1] if is_beyond.any() else 1.0

    def _signs(self, loudest: int, active: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        """(channels,): -1 for a channel that is another's opposite, else 1."""
        powers = np.diag(self.products)
        norm = np.sqrt(powers * powers[loudest])
        correlation = np.divide(
            self.products[loudest], norm, out=np.zeros_like(norm), where=norm > 0
        )
        return np.where(active & (correlation < MAX_OPPOSITE_CORRELATION), -1.0, 1.0)

    def _power(self, weights: npt.NDArray[np.floating]) -> float:
        return float(weights @ self.products @ weights)


def _what_is_lost(active: npt.NDArray[np.bool_], signs: npt.NDArray[np.float64]) -> str:
    if (signs < 0).any():
        return "channels are in opposite phase and would cancel each other; one was inverted"
    (numbers,) = np.nonzero(active)
    shown = ", ".join(str(number + 1) for number in numbers)
    return f"only channel {shown} of {len(active)} carries sound; the others were left out"
