"""Speech windows: nothing lost, nothing twice, never too long."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import speech_endpoint.audio.vad as voice_activity
from speech_endpoint.audio.decoding import decode_audio
from speech_endpoint.audio.vad import (
    FRAME_S,
    FRAME_SAMPLES,
    RUN_IN_FRAMES,
    STRETCH_FRAMES,
    Speech,
    VoiceActivity,
    padded,
    voiced_regions,
)
from speech_endpoint.audio.windows import Window, pack_windows, uncovered

pytestmark = pytest.mark.core


@st.composite
def recordings(draw: st.DrawFn) -> np.ndarray:
    """Probabilities of speech, in stretches of 32 ms frames."""
    stretches = draw(
        st.lists(st.tuples(st.floats(0, 1), st.integers(1, 400)), min_size=1, max_size=40)
    )
    return np.concatenate([np.full(frames, p, dtype=np.float32) for p, frames in stretches])


@given(recordings(), st.floats(1, 30))
def test_windows_hold_all_speech_once_and_are_short(
    probabilities: np.ndarray, longest_s: float
) -> None:
    regions = padded(
        voiced_regions(probabilities, len(probabilities) * FRAME_S), len(probabilities) * FRAME_S
    )
    windows = pack_windows(regions, probabilities, longest_s)
    pieces = [piece for window in windows for piece in window.pieces]
    assert all(window.duration_s <= longest_s + 1e-6 for window in windows)
    assert all(a.end <= b.start + 1e-9 for a, b in itertools.pairwise(pieces))
    assert all(piece.start < piece.end for piece in pieces)
    assert uncovered(regions, [(piece.start, piece.end) for piece in pieces], 1e-3) == []


@given(recordings(), st.floats(0, 30))
def test_times_come_back_in_order_and_inside(probabilities: np.ndarray, at: float) -> None:
    regions = padded(
        voiced_regions(probabilities, len(probabilities) * FRAME_S), len(probabilities) * FRAME_S
    )
    for window in pack_windows(regions, probabilities, 30.0):
        times = [window.to_recording(t) for t in np.linspace(0, window.duration_s, 20)]
        assert times == sorted(times)
        assert window.pieces[0].start <= window.to_recording(at) <= window.pieces[-1].end


def test_a_time_after_a_pause_that_was_left_out_is_after_it() -> None:
    window = Window((Speech(1.0, 2.0), Speech(10.0, 12.0)))
    assert window.to_recording(0.5) == 1.5
    assert window.to_recording(1.5) == 10.5
    assert window.to_recording(1.0, is_end=True) == 2.0
    assert window.to_recording(1.0) == 10.0


def test_speech_that_no_word_covers_is_found() -> None:
    left = uncovered([Speech(0, 10), Speech(20, 30)], [(0, 3), (2, 4), (6, 7), (19, 29.5)], 1.0)
    assert left == [Speech(4, 6), Speech(7, 10)]


def test_voice_activity_is_the_same_in_stretches_as_in_one_run(data: Path) -> None:
    model = VoiceActivity()
    waveform = decode_audio(
        (data / "conversations" / "two_speakers.flac").read_bytes(), 16_000, 600
    )
    stretches = model(waveform)
    step = STRETCH_FRAMES * FRAME_SAMPLES
    assert len(waveform) > 3 * step
    # Up to its first border a stretch is one run; the frames after a border have come from a run-in only.
    for border in (step, 2 * step):
        late = (
            waveform[border - 10 * RUN_IN_FRAMES * FRAME_SAMPLES // 4 :]
            if border > step
            else waveform
        )
        frames = len(waveform[: len(waveform) - len(late)]) // FRAME_SAMPLES
        one_run = model(late)[: STRETCH_FRAMES // 2]
        assert np.mean((one_run > 0.5) != (stretches[frames : frames + len(one_run)] > 0.5)) < 0.02


def test_voice_activity_of_a_long_recording_is_the_same_block_by_block(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = VoiceActivity()
    waveform = decode_audio(
        (data / "conversations" / "two_speakers.flac").read_bytes(), 16_000, 600
    )
    at_once = model(waveform)
    monkeypatch.setattr(voice_activity, "BLOCK_FRAMES", STRETCH_FRAMES)
    assert len(at_once) > 3 * STRETCH_FRAMES
    assert np.abs(model(waveform) - at_once).max() < 1e-3


def test_a_window_is_filled_up_to_a_pause_of_the_next_stretch() -> None:
    """20 s, a second of silence, 20 s with a short pause at 27 s."""
    probabilities = np.ones(round(41 / FRAME_S), np.float32)
    for start_s, end_s in ((20.0, 21.0), (27.0, 27.2)):
        probabilities[round(start_s / FRAME_S) : round(end_s / FRAME_S)] = 0.0
    regions = [Speech(0.0, 20.0), Speech(21.0, 41.0)]
    first, second = pack_windows(regions, probabilities, 30.0)
    assert 27.0 < first.pieces[-1].end < 27.2
    assert second.pieces == (Speech(first.pieces[-1].end, 41.0),)
    # Only a moment is left, or there is no pause: stretches stay whole.
    assert pack_windows(regions, probabilities, 25.0)[0].pieces == (Speech(0.0, 20.0),)
    assert pack_windows(regions, np.ones_like(probabilities), 30.0)[0].pieces == (
        Speech(0.0, 20.0),
    )


def test_voice_activity_hears_the_phone_call_and_not_its_silence(data: Path) -> None:
    waveform = decode_audio((data / "conversations" / "phone_call.flac").read_bytes(), 16_000, 600)
    regions = padded(
        voiced_regions(VoiceActivity()(waveform), waveform.size / 16_000), waveform.size / 16_000
    )
    assert 6.0 < regions[0].start < 7.0
    assert VoiceActivity()(np.zeros(80_000, np.float32)).max() < 0.5
