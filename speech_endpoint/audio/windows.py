"""Windows for the recogniser: speech packed into stretches of at most 30 s, cut where nobody speaks."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from speech_endpoint.audio.vad import FRAME_S, Speech
from speech_endpoint.transcript import SAMPLE_RATE_HZ

# Silence longer than this is left out of a window; Whisper reads shorter pauses as punctuation.
LONGEST_PAUSE_S = 1.0
# What stays of a silence that is left out, half on either side.
KEPT_PAUSE_S = 0.4
# With so much left of a window, the next stretch is cut at a pause rather than kept whole for the next window: 5 % less
# time for long recordings, with the same word errors (for 3 s as for 6 s).
WORTH_FILLING_S = 6.0
# Speech less likely than this is a pause; 0.05 to 0.2 serve alike.
PAUSE_PROBABILITY = 0.2
# What is left of such a stretch has at least so much for the next window: not the silence after a last word.
SHORTEST_REST_S = 1.0


@dataclass(frozen=True, slots=True)
class Window:
    """Pieces of a recording, one after the other, to be decoded as one."""

    pieces: tuple[Speech, ...]

    @property
    def duration_s(self) -> float:
        return sum(piece.end - piece.start for piece in self.pieces)

    def cut(self, waveform: np.ndarray) -> tuple[np.ndarray, ...]:
        """The samples of each piece: views."""
        return tuple(
            waveform[round(piece.start * SAMPLE_RATE_HZ) : round(piece.end * SAMPLE_RATE_HZ)]
            for piece in self.pieces
        )

    def to_recording(self, time_s: float, *, is_end: bool = False) -> float:
        """Where a time in the window lies in the recording; at a seam, an end stays before, a start goes after."""
        offset = 0.0
        for piece in self.pieces:
            length = piece.end - piece.start
            if time_s < offset + length or (is_end and time_s <= offset + length):
                return piece.start + max(0.0, time_s - offset)
            offset += length
        return self.pieces[-1].end


def pack_windows(
    regions: Sequence[Speech],
    probabilities: np.ndarray,
    longest_s: float,
    worth_filling_s: float = WORTH_FILLING_S,
) -> list[Window]:
    """Fill windows of at most `longest_s` seconds with speech, in order.

    Stretches that are longer are cut where speech is least likely, by `probabilities` of frames of 32 ms; those that
    begin where `worth_filling_s` or more of a window is left, where there is a pause.
    """
    windows: list[Window] = []
    pieces: list[Speech] = []
    waiting = deque(_split_long(regions, probabilities, longest_s))
    while waiting:
        region = waiting.popleft()
        extended = _extend(pieces, region)
        room = longest_s - _duration(extended) + (region.end - region.start)
        if pieces and region.end - region.start > room:
            cut = None
            if room >= worth_filling_s:
                latest = min(region.start + room, region.end - SHORTEST_REST_S)
                cut = _pause(probabilities, region.start + room / 3, latest)
            if cut is not None:
                pieces = _extend(pieces, Speech(region.start, cut))
                region = Speech(cut, region.end)
            windows.append(Window(tuple(pieces)))
            extended = [region]
        pieces = extended
    if pieces:
        windows.append(Window(tuple(pieces)))
    return windows


def _duration(pieces: Sequence[Speech]) -> float:
    return sum(piece.end - piece.start for piece in pieces)


def _extend(pieces: Sequence[Speech], region: Speech) -> list[Speech]:
    """The pieces with `region` after them, joined to the last where the pause is short."""
    if not pieces:
        return [region]
    last = pieces[-1]
    pause = region.start - last.end
    if pause <= LONGEST_PAUSE_S:
        return [*pieces[:-1], Speech(last.start, region.end)]
    return [
        *pieces[:-1],
        Speech(last.start, last.end + KEPT_PAUSE_S / 2),
        Speech(region.start - KEPT_PAUSE_S / 2, region.end),
    ]


def _split_long(
    regions: Sequence[Speech], probabilities: np.ndarray, longest_s: float
) -> list[Speech]:
    parts: list[Speech] = []
    for region in regions:
        start = region.start
        while region.end - start > longest_s:
            cut, _ = _quietest(probabilities, start + longest_s / 2, start + longest_s)
            parts.append(Speech(start, cut))
            start = cut
        parts.append(Speech(start, region.end))
    return parts


def _pause(probabilities: np.ndarray, low_s: float, high_s: float) -> float | None:
    """The time between two where nobody speaks, if there is one."""
    time_s, probability = _quietest(probabilities, low_s, high_s)
    return time_s if probability < PAUSE_PROBABILITY else None


def _quietest(probabilities: np.ndarray, low_s: float, high_s: float) -> tuple[float, float]:
    """The time between two where speech is least likely, and how likely; the latest of equals, to keep windows full."""
    low, high = int(low_s / FRAME_S) + 1, int(high_s / FRAME_S)
    frames = probabilities[low:high]
    if frames.size < 3:
        return high_s, 1.0
    # Three frames together: a single low frame may be a stop consonant.
    smooth = np.convolve(frames, np.ones(3) / 3, mode="valid")
    best = smooth.size - 1 - int(np.argmin(smooth[::-1]))
    return (low + best + 1.5) * FRAME_S, float(smooth[best])


def uncovered(
    regions: Sequence[Speech], spans: Sequence[tuple[float, float]], shortest_s: float
) -> list[Speech]:
    """The parts of `regions`, at least `shortest_s` long, that no span (start, end) covers."""
    spans = sorted(spans)
    starts = [start for start, _ in spans]
    left: list[Speech] = []
    for region in regions:
        at = region.start
        first = max(0, bisect_right(starts, region.start) - 1)
        for start, end in spans[first:]:
            if start >= region.end:
                break
            if start - at >= shortest_s:
                left.append(Speech(at, start))
            at = max(at, end)
        if region.end - at >= shortest_s:
            left.append(Speech(at, region.end))
    return left
