"""Windows for the recogniser: speech segments packed to at most 30 s, cut where nobody speaks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from torch import Tensor

from speech_endpoint.audio.vad import FRAME_S, Probabilities
from speech_endpoint.intervals import Interval
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Waveform

# Silence longer than this is left out of a window; Whisper reads shorter pauses as punctuation.
MAX_PAUSE_S = 1.0
# What stays of a silence that is left out, half on either side.
KEPT_PAUSE_S = 0.4
# Where a window has this much room left, the next segment is cut at a pause to fill it, rather than
# kept whole for the next window: long recordings take 5 % less time, with the same word errors (for
# 3 s as for 6 s).
MIN_FILL_S = 6.0
# A mean probability of speech below this is a pause; 0.05 to 0.2 give the same results.
PAUSE_PROBABILITY = 0.2
# The rest of a cut segment is at least this long: more than the silence after a last word.
MIN_REST_S = 1.0


Samples = TypeVar("Samples", Waveform, Tensor, "Waveform | Tensor")


@dataclass(frozen=True, slots=True)
class Window:
    """Spans of a recording, joined and decoded as one."""

    spans: tuple[Interval, ...]
    """In order, not overlapping."""

    @property
    def duration_s(self) -> float:
        return _duration_s(self.spans)

    def slices(self, waveform: Samples) -> tuple[Samples, ...]:
        """The samples of each span: views of `waveform`, (samples,)."""
        return tuple(
            waveform[round(span.start * SAMPLE_RATE_HZ) : round(span.end * SAMPLE_RATE_HZ)]
            for span in self.spans
        )

    def to_recording_time(self, time_s: float, *, is_end: bool = False) -> float:
        """Where a time in the window lies in the recording.

        Args:
            time_s: seconds from the start of the window.
            is_end: whether something ends there. Where two spans meet, an end belongs to the first
                of them, a start to the second.
        """
        offset_s = 0.0
        for span in self.spans:
            end_s = offset_s + span.duration_s
            if time_s < end_s or (is_end and time_s <= end_s):
                return span.start + max(0.0, time_s - offset_s)
            offset_s = end_s
        return self.spans[-1].end


def pack_windows(
    segments: Sequence[Interval],
    probabilities: Probabilities,
    max_window_s: float,
    min_fill_s: float = MIN_FILL_S,
) -> list[Window]:
    """Fill windows with speech, in order.

    A segment longer than a window is cut where speech is least likely. One that does not fit into
    what is left of a window is cut at a pause if enough is left, or else begins the next window.

    Args:
        segments: speech, in order, not overlapping.
        probabilities: (frames,), of speech in each frame of the recording.
        max_window_s: the longest window.
        min_fill_s: how much of a window must be left for a segment to be cut.
    """
    windows: list[Window] = []
    pending: list[Interval] = []
    for segment in _split_long(segments, probabilities, max_window_s):
        rest = segment
        free_s = _free_s(pending, segment, max_window_s)
        if segment.duration_s > free_s:
            cut = _find_cut(segment, probabilities, free_s) if free_s >= min_fill_s else None
            if cut is not None:
                pending = _append(pending, Interval(segment.start, cut))
                rest = Interval(cut, segment.end)
            windows.append(Window(tuple(pending)))
            pending = []
        pending = _append(pending, rest)
    if pending:
        windows.append(Window(tuple(pending)))
    return windows


def _duration_s(spans: Sequence[Interval]) -> float:
    return sum(span.duration_s for span in spans)


def _free_s(pending: Sequence[Interval], segment: Interval, max_window_s: float) -> float:
    """How much of `segment` a window that holds `pending` has room for, after the pause between."""
    if not pending:
        return math.inf
    pause_s = segment.start - pending[-1].end
    kept_s = pause_s if pause_s <= MAX_PAUSE_S else KEPT_PAUSE_S
    return max_window_s - _duration_s(pending) - kept_s


def _append(spans: Sequence[Interval], segment: Interval) -> list[Interval]:
    """The spans with `segment` after them, joined to the last of them if the pause is short."""
    if not spans:
        return [segment]
    *others, last = spans
    if segment.start - last.end <= MAX_PAUSE_S:
        return [*others, Interval(last.start, segment.end)]
    return [
        *others,
        Interval(last.start, last.end + KEPT_PAUSE_S / 2),
        Interval(segment.start - KEPT_PAUSE_S / 2, segment.end),
    ]


def _split_long(
    segments: Sequence[Interval], probabilities: Probabilities, max_s: float
) -> list[Interval]:
    """Cut each segment longer than `max_s` where speech is least likely.

    Every cut lies between `max_s / 2` and `max_s` after the segment's start or its previous cut.
    """
    parts: list[Interval] = []
    for segment in segments:
        start = segment.start
        while segment.end - start > max_s:
            cut, _ = _least_speech(probabilities, start + max_s / 2, start + max_s)
            parts.append(Interval(start, cut))
            start = cut
        parts.append(Interval(start, segment.end))
    return parts


def _find_cut(segment: Interval, probabilities: Probabilities, free_s: float) -> float | None:
    """Where to cut a segment so that its beginning fills `free_s`; None without a pause."""
    latest_s = min(segment.start + free_s, segment.end - MIN_REST_S)
    return _find_pause(probabilities, segment.start + free_s / 3, latest_s)


def _find_pause(probabilities: Probabilities, start_s: float, end_s: float) -> float | None:
    """A time between two where nobody speaks; None if somebody speaks all along."""
    time_s, probability = _least_speech(probabilities, start_s, end_s)
    return time_s if probability < PAUSE_PROBABILITY else None


def _least_speech(
    probabilities: Probabilities, start_s: float, end_s: float
) -> tuple[float, float]:
    """The time between two where speech is least likely, and how likely it is there.

    The latest of equals, to keep windows full; `end_s` where there are fewer than three frames.
    """
    first, last = int(start_s / FRAME_S) + 1, int(end_s / FRAME_S)
    frames = probabilities[first:last]
    if frames.size < 3:
        return end_s, 1.0
    # Three frames together: a single low frame may be a stop consonant.
    means = np.convolve(frames, np.ones(3) / 3, mode="valid")
    best = means.size - 1 - int(np.argmin(means[::-1]))
    return (first + best + 1.5) * FRAME_S, float(means[best])
