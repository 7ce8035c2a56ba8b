"""Windows: no speech lost, none twice, none too long; their times lead back to the recording."""

from __future__ import annotations

import itertools
import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from speech_endpoint.audio.vad import FRAME_S, Probabilities, pad_segments, speech_segments
from speech_endpoint.audio.windows import MAX_PAUSE_S, Window, pack_windows
from speech_endpoint.intervals import Interval, subtract
from speech_endpoint.transcript import SAMPLE_RATE_HZ

pytestmark = pytest.mark.pure


@st.composite
def recordings(draw: st.DrawFn) -> tuple[list[Interval], Probabilities]:
    """Speech segments of up to nine minutes, and the probabilities that they come from."""
    runs = draw(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 400)), min_size=1, max_size=40))
    probabilities = np.concatenate([np.full(n, p, np.float32) for p, n in runs])
    duration_s = len(probabilities) * FRAME_S
    return pad_segments(speech_segments(probabilities, duration_s), duration_s), probabilities


@given(recordings(), st.floats(1, 30), st.sampled_from([1.0, 6.0, math.inf]))
def test_windows_hold_all_speech_once_and_are_short(
    recording: tuple[list[Interval], Probabilities], max_window_s: float, min_fill_s: float
) -> None:
    segments, probabilities = recording
    windows = pack_windows(segments, probabilities, max_window_s, min_fill_s)
    spans = [span for window in windows for span in window.spans]
    assert all(window.duration_s <= max_window_s + 1e-6 for window in windows)
    assert all(a.end <= b.start + 1e-9 for a, b in itertools.pairwise(spans))
    assert all(span.start < span.end for span in spans)
    assert subtract(segments, spans, 1e-3) == []


@given(recordings())
def test_windows_leave_out_long_silences(
    recording: tuple[list[Interval], Probabilities],
) -> None:
    segments, probabilities = recording
    spans = [
        span for window in pack_windows(segments, probabilities, 30.0) for span in window.spans
    ]
    assert all(gap.duration_s <= MAX_PAUSE_S + 1e-9 for gap in subtract(spans, segments, 1e-6))


@given(recordings(), st.floats(0, 30))
def test_times_lead_back_in_order_and_inside(
    recording: tuple[list[Interval], Probabilities], time_s: float
) -> None:
    for window in pack_windows(*recording, 30.0):
        times = [window.to_recording_time(t) for t in np.linspace(0, window.duration_s, 20)]
        assert times == sorted(times)
        assert window.spans[0].start <= window.to_recording_time(time_s) <= window.spans[-1].end


@given(recordings())
def test_a_sample_of_a_window_lies_where_its_time_says(
    recording: tuple[list[Interval], Probabilities],
) -> None:
    segments, probabilities = recording
    times = np.arange(len(probabilities) * round(FRAME_S * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    for window in pack_windows(segments, probabilities, 30.0):
        for span, samples in zip(window.spans, window.slices(times), strict=True):
            assert samples[0] == pytest.approx(span.start, abs=1 / SAMPLE_RATE_HZ)
            assert samples[-1] == pytest.approx(span.end, abs=2 / SAMPLE_RATE_HZ)


def test_a_time_where_two_spans_meet_is_an_end_before_the_pause_or_a_start_after_it() -> None:
    window = Window((Interval(1.0, 2.0), Interval(10.0, 12.0)))
    assert window.to_recording_time(0.5) == 1.5
    assert window.to_recording_time(1.5) == 10.5
    assert window.to_recording_time(1.0, is_end=True) == 2.0
    assert window.to_recording_time(1.0) == 10.0


def test_a_time_outside_the_window_is_its_nearest_border() -> None:
    window = Window((Interval(1.0, 2.0), Interval(10.0, 12.0)))
    assert window.to_recording_time(-0.5) == 1.0
    assert window.to_recording_time(4.0) == 12.0


def test_a_short_pause_stays_whole_and_of_a_long_one_a_little_on_either_side() -> None:
    probabilities = np.ones(round(10 / FRAME_S), np.float32)
    segments = [Interval(0.0, 1.0), Interval(2.0, 3.0), Interval(7.0, 9.0)]
    (window,) = pack_windows(segments, probabilities, 30.0)
    assert window.spans == (Interval(0.0, 3.2), Interval(6.8, 9.0))


def test_a_window_is_filled_up_to_a_pause_of_the_next_segment() -> None:
    """20 s, a second of silence, 20 s with a short pause at 27 s."""
    probabilities = np.ones(round(41 / FRAME_S), np.float32)
    for start_s, end_s in ((20.0, 21.0), (27.0, 27.2)):
        probabilities[round(start_s / FRAME_S) : round(end_s / FRAME_S)] = 0.0
    segments = [Interval(0.0, 20.0), Interval(21.0, 41.0)]
    first, second = pack_windows(segments, probabilities, 30.0)
    assert 27.0 < first.spans[-1].end < 27.2
    assert second.spans == (Interval(first.spans[-1].end, 41.0),)


def test_a_segment_stays_whole_where_little_is_left_or_it_has_no_pause() -> None:
    speech = np.ones(round(41 / FRAME_S), np.float32)
    with_pause = speech.copy()
    with_pause[round(24.5 / FRAME_S) : round(24.7 / FRAME_S)] = 0.0
    segments = [Interval(0.0, 20.0), Interval(21.0, 41.0)]
    whole = [Window((segment,)) for segment in segments]
    assert pack_windows(segments, with_pause, 25.0) == whole
    assert pack_windows(segments, speech, 30.0) == whole
    assert pack_windows(segments, with_pause, 30.0) != whole


def test_a_segment_longer_than_a_window_is_cut_where_speech_is_least_likely() -> None:
    probabilities = np.ones(round(50 / FRAME_S), np.float32)
    probabilities[round(20.0 / FRAME_S) : round(20.2 / FRAME_S)] = 0.4
    first, second = pack_windows([Interval(0.0, 50.0)], probabilities, 30.0)
    assert 20.0 < first.spans[0].end < 20.2
    assert second.spans == (Interval(first.spans[0].end, 50.0),)
