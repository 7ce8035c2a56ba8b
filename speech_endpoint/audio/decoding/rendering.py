"""Timed blocks of samples, of whatever rate and channels, to 16 kHz on the recording's clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import av
import numpy as np
import numpy.typing as npt

from speech_endpoint.audio.decoding.mixing import (
    MAX_PEAK,
    ChannelPowers,
    Weights,
    downmix_weights,
)
from speech_endpoint.transcript import SAMPLE_RATE_HZ

MAX_JITTER_S = 0.1
"""Clocks of containers are rounded and joined; beyond it packets are missing, or the sound begins
late. FFmpeg's `aresample=async=1` has the same tolerance."""
BLOCK_S = 1.0
ROUNDING_S = 1e-3
"""Of sums of many blocks' lengths: a recording may be as long as the limit."""

Samples = npt.NDArray[np.float32]


class Sink(Protocol):
    """Where 16 kHz samples go: memory of this process, or shared with another."""

    def append(self, samples: Samples) -> None:
        """Add (samples, channels)."""

    def position(self) -> int:
        """How much is there, bytes."""

    def truncate(self, position: int) -> None:
        """Forget what came after `position`."""


class TooLong(Exception):
    """The recording is longer than is allowed."""


class ChannelsChanged(Exception):
    """Channels that are to be kept apart became more or fewer."""


@dataclass
class Renderer:
    """Writes a track to a sink, at 16 kHz: mixed, or each channel on its own."""

    sink: Sink
    max_s: float
    """The longest that all outputs may be together, seconds."""
    apart: bool = False
    weights: dict[int, Weights] = field(default_factory=dict)
    """By the number of channels: instead of FFmpeg's own for the layout."""
    scale: float = 1.0
    """What samples are divided by."""
    on_progress: Callable[[float], None] = lambda position_s: None
    """Called with the position, seconds, after each block."""
    position_s: float = 0.0
    powers: dict[int, ChannelPowers] = field(default_factory=dict)
    """By the number of channels."""
    usual_weights: dict[int, Weights] = field(default_factory=dict)
    n_outputs: int = 0
    """Channels written; 0 before the first block."""
    _rate_hz: int = 0
    _resamplers: list[Any] = field(default_factory=list)

    def add(self, samples: Samples, rate_hz: int, layout: str) -> None:
        """Write the next block.

        Args:
            samples: (channels, samples).
            rate_hz: its sampling rate.
            layout: FFmpeg's name for the channels.

        Raises:
            TooLong: there is more than `max_s`.
            ChannelsChanged: their number changed, and they are kept apart.
        """
        np.nan_to_num(samples, copy=False, nan=0.0, posinf=1.0, neginf=-1.0)
        n_channels = len(samples)
        powers = self.powers.setdefault(n_channels, ChannelPowers(n_channels))
        powers.add(samples)
        usual = self.usual_weights.setdefault(n_channels, downmix_weights(layout))
        if self.scale != 1:
            samples = samples / np.float32(self.scale)
        if powers.peak > MAX_PEAK:
            samples = np.where(np.abs(samples) > MAX_PEAK, np.sign(samples), samples)
        if not self.apart and n_channels > 1:
            weights = self.weights.get(n_channels, usual)
            # Not by BLAS, whose threads cost more than the sum.
            samples = np.einsum("c,cs->s", weights, samples)[None]
        self._write(samples, rate_hz)

    def add_silence(self, until_s: float) -> None:
        """Write silence up to this time."""
        rate_hz = self._rate_hz or SAMPLE_RATE_HZ
        n_outputs = self.n_outputs or 1
        while until_s > self.position_s + 1 / rate_hz:
            n = round(min(BLOCK_S, until_s - self.position_s) * rate_hz)
            self._write(np.zeros((n_outputs, n), np.float32), rate_hz)

    def finish(self) -> None:
        """Write what the resamplers still hold."""
        if self._resamplers:
            self._emit([_resampled(each.resample(None)) for each in self._resamplers])
        self._resamplers, self._rate_hz = [], 0

    def _write(self, outputs: Samples, rate_hz: int) -> None:
        """Write (channels, samples), at a rate that may change between blocks."""
        self.n_outputs = self.n_outputs or len(outputs)
        if len(outputs) != self.n_outputs:
            raise ChannelsChanged
        if rate_hz != self._rate_hz:
            self.finish()
            self._rate_hz = rate_hz
            if rate_hz != SAMPLE_RATE_HZ:
                self._resamplers = [
                    av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE_HZ)
                    for _ in outputs
                ]
        self.position_s += outputs.shape[1] / rate_hz
        if self.position_s * self.n_outputs > self.max_s + ROUNDING_S:
            raise TooLong
        if self._resamplers:
            self._emit(
                [
                    _resampled(resampler.resample(_mono_frame(output, rate_hz)))
                    for resampler, output in zip(self._resamplers, outputs, strict=True)
                ]
            )
        else:
            self._emit(outputs)
        self.on_progress(self.position_s)

    def _emit(self, outputs: Iterable[Samples]) -> None:
        self.sink.append(np.stack(list(outputs), axis=1))


def _mono_frame(samples: Samples, rate_hz: int) -> Any:
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(samples[None], np.float32), format="flt", layout="mono"
    )
    frame.sample_rate = rate_hz
    return frame


def _resampled(frames: list[Any]) -> Samples:
    """(samples,)"""
    parts = [frame.to_ndarray().reshape(-1) for frame in frames]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
