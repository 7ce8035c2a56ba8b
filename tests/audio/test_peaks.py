"""The outline of a waveform holds its loudest moments, whatever its length."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_endpoint.audio.peaks import peaks, waveform_json

pytestmark = pytest.mark.pure


@given(st.integers(0, 5000), st.integers(0, 2**32 - 1))
def test_each_span_has_its_lowest_and_highest_sample(n_samples: int, seed: int) -> None:
    waveform = np.random.default_rng(seed).uniform(-1.2, 1.2, n_samples).astype(np.float32)
    pairs = np.frombuffer(peaks(waveform), np.int8).reshape(-1, 2)
    assert len(pairs) == -(-n_samples // 800)
    for n, (low, high) in enumerate(pairs):
        span = waveform[n * 800 : (n + 1) * 800].clip(-1, 1)
        assert low == round(float(span.min()) * 127) and high == round(float(span.max()) * 127)


def test_a_click_is_where_it_was() -> None:
    waveform = np.zeros(16_000, np.float32)
    waveform[8_100] = 1
    answer = waveform_json(peaks(waveform))
    assert answer["per_second"] == 20
    pairs = np.frombuffer(base64.b64decode(str(answer["peaks"])), np.int8)
    assert pairs.tolist().index(127) == 2 * 10 + 1
