"""What one channel of a recording holds of another: crosstalk of lines, echo, the same voice twice.

A microphone hears the loudspeaker of the other side, and one line another: weaker, later and
filtered by the room. Such bleeding is what can be predicted, linearly, from a louder channel. Real
speech of two people at once cannot be, however similar it sounds.

Pure. All but equal channels are compared at half the sampling rate, which holds all of a
telephone's band.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter1d
from scipy.signal import resample_poly

from speech_endpoint.intervals import Interval, merge
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Waveform

RATE_HZ = SAMPLE_RATE_HZ // 2
HOP = RATE_HZ // 50
FRAME = 1024
"""128 ms: a direct sound and the early part of a room's response."""
TAPER = np.hanning(FRAME).astype(np.float32)
BAND_HZ = (200, 3400)
WINDOW_FRAMES = 25
"""Spectra are averaged over 0.5 s: about a word and its neighbours."""
BLOCK_FRAMES = 50
"""The delay is looked for in blocks of 2 s, one each second: it may change, clocks drift."""
MAX_DELAY_S = 0.5
"""Either way: an acoustic echo over a network takes up to some 0.3 s."""
MIN_PEAK = 12.0
"""Of the correlation, over its root mean square. Blocks of unrelated speech reach 8, bleeding with
a long reverberation begins at 19."""
MIN_PREDICTED = 0.5
"""Of a channel's energy: most of it. Unrelated speech stays below 0.25 in 99 % of the frames."""
EDGE_FRAMES = 8
"""Bleeding fades in and out within 0.16 s, as long as nothing louder comes."""
MAX_EDGE_RATIO = 2.0
FADE_SAMPLES = SAMPLE_RATE_HZ // 200
SILENT = 1e-8
"""A mean square: -80 dB."""

# Equal channels differ by less than a tenth of their energy in nearly all seconds that hold some.
MAX_DIFFERENCE = 0.1
MIN_EQUAL_SHARE = 0.99
AUDIBLE = 1e-4
"""Of the energy of the loudest second."""

Samples = npt.NDArray[np.float32]
"""(samples,) at `RATE_HZ`."""
Booleans = npt.NDArray[np.bool_]


def distinct_channels(channels: Sequence[Waveform]) -> list[int]:
    """The channels that are no copies of one before them, at another level or inverted or not.

    Args:
        channels: of one length.
    """
    distinct: list[int] = []
    for n, channel in enumerate(channels):
        if not any(_are_equal(channels[other], channel) for other in distinct):
            distinct.append(n)
    return distinct


def _are_equal(one: Waveform, other: Waveform) -> bool:
    size = min(one.size, SAMPLE_RATE_HZ)
    if size == 0:
        return False
    a, b = (each[: each.size // size * size].reshape(-1, size) for each in (one, other))
    aa, bb, ab = (np.einsum("ns,ns->n", x, y) for x, y in ((a, a), (b, b), (a, b)))
    if aa.sum() <= 0 or bb.sum() <= 0:
        return False
    gain = ab.sum() / aa.sum()
    levels = np.maximum(bb, gain**2 * aa)
    audible = levels > AUDIBLE * levels.max()
    differences = bb - 2 * gain * ab + gain**2 * aa
    return bool(np.mean((differences <= MAX_DIFFERENCE * levels)[audible]) >= MIN_EQUAL_SHARE)


def without_bleeding(channels: Sequence[Waveform]) -> list[Waveform]:
    """The channels, each silent where it holds nothing but what bleeds in from a louder one.

    Args:
        channels: of one length.
    """
    return [
        _silenced(channel, spans)
        for channel, spans in zip(channels, find_bleeding(channels), strict=True)
    ]


def find_bleeding(channels: Sequence[Waveform]) -> list[list[Interval]]:
    """Where each channel holds nothing but what bleeds in from a louder one; in order.

    Args:
        channels: of one length.
    """
    n_frames = -(-channels[0].size // (2 * HOP))
    halves = [_Channel.of(channel, n_frames) for channel in channels]
    masks = [np.zeros(n_frames, bool) for _ in channels]
    for n, one in enumerate(halves):
        for m, other in enumerate(halves[:n]):
            delays = _delays(other, one)
            if delays is not None:
                masks[n] |= _predicted(one, other, delays)
                masks[m] |= _predicted(other, one, [-delay for delay in delays])
    return [_spans(mask) for mask in masks]


@dataclass(frozen=True, slots=True)
class _Channel:
    """A channel at `RATE_HZ`, with `margin` samples of silence before and after it."""

    samples: Samples
    n_frames: int

    margin = round(MAX_DELAY_S * RATE_HZ) + BLOCK_FRAMES * HOP

    @classmethod
    def of(cls, waveform: Waveform, n_frames: int) -> _Channel:
        half = resample_poly(waveform, 1, 2).astype(np.float32)
        n_blocks = -(-n_frames // BLOCK_FRAMES)
        after = n_blocks * BLOCK_FRAMES * HOP - half.size
        return cls(np.pad(half, (cls.margin, after + cls.margin)), n_frames)

    @property
    def n_blocks(self) -> int:
        return -(-self.n_frames // BLOCK_FRAMES)

    def cut(self, first_frame: int, n_samples: int, delay: int = 0) -> Samples:
        """`n_samples` from `delay` samples before a frame begins."""
        start = self.margin + first_frame * HOP - delay
        return self.samples[start : start + n_samples]


def _delays(source: _Channel, target: _Channel) -> list[int] | None:
    """How much later, in samples, what both hold is on `target`, block by block.

    The generalized cross-correlation with phase transform (Knapp and Carter 1976): whitened, so
    that neither the filter of a room nor the harmonics of a voice blur its peak.

    Returns:
        One a block, of the nearest block that has a clear one; None if none has.
    """
    found: dict[int, int] = {}
    for block in range(source.n_blocks):
        delay = _delay(source, target, block)
        if delay is not None:
            found[block] = delay
    if not found:
        return None
    clear = np.array(list(found))
    blocks = range(source.n_blocks)
    return [found[int(clear[np.abs(clear - block).argmin()])] for block in blocks]


def _delay(source: _Channel, target: _Channel, block: int) -> int | None:
    first, max_delay = block * BLOCK_FRAMES - BLOCK_FRAMES // 2, round(MAX_DELAY_S * RATE_HZ)
    n_samples = 2 * BLOCK_FRAMES * HOP
    heard = target.cut(first, n_samples)
    said = source.cut(first, n_samples + 2 * max_delay, delay=max_delay)
    if min(np.mean(np.square(heard)), np.mean(np.square(said))) < SILENT:
        return None
    size = 1 << (said.size + max_delay - 1).bit_length()
    cross = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(said, size))
    cross /= np.abs(cross) + 1e-12
    band = [round(hz * size / RATE_HZ) for hz in BAND_HZ]
    cross[: band[0]] = cross[band[1] :] = 0
    # At index k, `said` is k samples later than it was cut: max_delay of them are no delay.
    correlation = np.fft.irfft(cross, size)
    around = np.abs(np.concatenate([correlation[-2 * max_delay :], correlation[:1]]))
    at = int(around.argmax())
    if around[at] < MIN_PEAK * np.sqrt(np.mean(np.square(around))):
        return None
    return at - max_delay


def _predicted(target: _Channel, source: _Channel, delays: Sequence[int]) -> Booleans:
    """The frames of `target` that are mostly a filtered copy of `source`, where that is louder.

    Args:
        delays: of `target` behind `source`, samples, for each block.
    """
    shares, powers = (
        np.concatenate(parts)[: target.n_frames]
        for parts in zip(
            *(_predicted_shares(target, source, n, delay) for n, delay in enumerate(delays)),
            strict=True,
        )
    )
    is_bleeding = shares > MIN_PREDICTED
    # Where bleeding begins and ends there is too little of it to tell by.
    nearby = maximum_filter1d(np.where(is_bleeding, powers, 0.0), 2 * EDGE_FRAMES + 1)
    return is_bleeding | (powers < MAX_EDGE_RATIO * nearby)


def _predicted_shares(
    target: _Channel, source: _Channel, block: int, delay: int
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]:
    """Of each frame of a block: how much of its energy `source` predicts, and its power.

    The magnitude-squared coherence (Carter, Knapp and Nuttall 1973), weighted with the energy of
    `target`; frequencies at which that is louder count as its own.
    """
    half = WINDOW_FRAMES // 2
    n_samples = (BLOCK_FRAMES + 2 * half - 1) * HOP + FRAME
    # A frame's samples lie around the middle of its hop.
    first, offset = block * BLOCK_FRAMES - half, (FRAME - HOP) // 2
    heard = _spectra(target.cut(first, n_samples, delay=offset))
    said = _spectra(source.cut(first, n_samples, delay=offset + delay))
    cross = _averaged(heard * np.conj(said))
    heard_power, said_power = _averaged(np.abs(heard) ** 2), _averaged(np.abs(said) ** 2)
    predicted = np.abs(cross) ** 2 / (said_power + 1e-12)
    predicted[said_power <= heard_power] = 0
    power, other_power = heard_power.sum(1), said_power.sum(1)
    shares = predicted.sum(1) / (power + 1e-12)
    return np.where(other_power > power, shares, 0.0), power


def _spectra(samples: Samples) -> npt.NDArray[np.complexfloating]:
    """(frames, frequencies within BAND_HZ)."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP]
    low, high = (round(hz * FRAME / RATE_HZ) for hz in BAND_HZ)
    return np.fft.rfft(frames * TAPER)[:, low:high]


def _averaged(spectra: npt.NDArray[np.inexact]) -> npt.NDArray[np.inexact]:
    """Means over WINDOW_FRAMES frames: (frames, frequencies) to (frames - 24, frequencies)."""
    sums = np.cumsum(spectra, axis=0, dtype=np.result_type(spectra, np.float64))
    sums = np.concatenate([np.zeros_like(sums[:1]), sums])
    return (sums[WINDOW_FRAMES:] - sums[:-WINDOW_FRAMES]) / WINDOW_FRAMES


def _spans(mask: Booleans) -> list[Interval]:
    frames = np.flatnonzero(mask)
    return merge(Interval(n * HOP / RATE_HZ, (n + 1) * HOP / RATE_HZ) for n in frames.tolist())


def _silenced(waveform: Waveform, spans: Sequence[Interval]) -> Waveform:
    """The waveform, silent in the spans, with short fades: a click might be heard as speech."""
    if not spans:
        return np.ascontiguousarray(waveform)
    gains = np.ones(waveform.size + FADE_SAMPLES - 1, np.float32)
    for span in spans:
        start, end = (round(time * SAMPLE_RATE_HZ) for time in (span.start, span.end))
        gains[start : end + FADE_SAMPLES - 1] = 0
    ramp = np.convolve(gains, np.full(FADE_SAMPLES, 1 / FADE_SAMPLES, np.float32), "valid")
    return waveform * ramp.astype(np.float32)
