"""The recordings that benchmarks make of others."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.corpus import CONVERSATION, Clip, wav

pytestmark = pytest.mark.pure


@given(st.lists(st.integers(-(2**15), 2**15 - 1), min_size=800, max_size=900))
def test_a_waveform_of_16_bits_survives_its_file(samples: list[int]) -> None:
    waveform = (np.array(samples) / 2**15).astype(np.float32)
    assert np.array_equal(Clip("made", CONVERSATION, partial(wav, waveform)).waveform, waveform)


def test_a_delayed_recording_is_the_same_after_the_silence() -> None:
    waveform = (np.arange(16_000) / 2**15).astype(np.float32)
    clip = Clip("made", CONVERSATION, partial(wav, waveform)).delayed(0.037)
    assert clip.offset_s == pytest.approx(0.037)
    assert not clip.waveform[:592].any()
    assert np.array_equal(clip.waveform[592:], waveform)
