"""Silero VAD in rows side by side, against the package's own network frame after frame."""

from __future__ import annotations

import importlib.util
import itertools
import math
import subprocess
import sys
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from speech_endpoint.audio.decoding.decode import decode_audio
from speech_endpoint.audio.vad import (
    BLOCK_FRAMES,
    FRAME_S,
    FRAME_SAMPLES,
    MIN_SILENCE_S,
    MIN_SPEECH_S,
    PAD_S,
    ROW_FRAMES,
    SILENCE_THRESHOLD,
    SPEECH_THRESHOLD,
    Probabilities,
    SileroVAD,
    pad_segments,
    speech_segments,
)
from speech_endpoint.intervals import Interval, subtract
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Waveform

BLOCK_SAMPLES = BLOCK_FRAMES * FRAME_SAMPLES


@st.composite
def speech_probabilities(draw: st.DrawFn) -> Probabilities:
    """Probabilities of speech that stay the same for some frames at a time."""
    runs = draw(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 20)), max_size=40))
    return np.concatenate([np.zeros(0, np.float32), *(np.full(n, p, np.float32) for p, n in runs)])


# The package's own network, one frame after the other, with the weights of its safetensors file.
# Importing silero_vad sets PyTorch to one thread, so it runs in a process of its own.
SILERO = """
import sys
from pathlib import Path
import numpy as np
import silero_vad
import torch
from safetensors.torch import load_file

model = silero_vad.load_silero_vad()
state = model.state_dict()
names = {"stft_conv.weight": "stft.forward_basis_buffer"}
for kind in ("weight", "bias"):
    names[f"final_conv.{kind}"] = f"decoder.decoder.2.{kind}"
    for n in range(4):
        names[f"conv{n + 1}.{kind}"] = f"encoder.{n}.reparam_conv.{kind}"
    for gate in ("ih", "hh"):
        names[f"lstm_cell.{kind}_{gate}"] = f"decoder.rnn.{kind}_{gate}"
weights = load_file(Path(silero_vad.__file__).parent / "data" / "silero_vad_16k.safetensors")
waveform = torch.from_numpy(np.load(sys.argv[1]))
with torch.inference_mode():
    for name, weight in weights.items():
        state["_model." + names[name]].copy_(weight)
    np.save(sys.argv[2], model.audio_forward(waveform[None], sr=16_000)[0].numpy())
"""


@pytest.fixture(scope="module")
def phone_call() -> Waveform:
    """The phone call that pyannote.audio ships: 30 s, the first word at 6.7 s."""
    package = importlib.util.find_spec("pyannote.audio")
    assert package is not None and package.submodule_search_locations
    sample = Path(package.submodule_search_locations[0]) / "sample" / "sample.wav"
    return decode_audio(sample.read_bytes(), SAMPLE_RATE_HZ, 60)


@pytest.fixture(scope="module")
def long_call(phone_call: Waveform) -> Waveform:
    """Speech that takes more than a block of rows and ends within a frame."""
    waveform = np.tile(phone_call, 10)[:-100]
    assert len(waveform) > BLOCK_SAMPLES + ROW_FRAMES * FRAME_SAMPLES
    return waveform


@pytest.fixture(scope="module")
def vad() -> SileroVAD:
    return SileroVAD()


@pytest.fixture(scope="module")
def reference(long_call: Waveform, tmp_path_factory: pytest.TempPathFactory) -> Probabilities:
    """What the package's network makes of the long call."""
    folder = tmp_path_factory.mktemp("silero")
    np.save(folder / "waveform.npy", long_call)
    files = [str(folder / name) for name in ("waveform.npy", "probabilities.npy")]
    subprocess.run([sys.executable, "-c", SILERO, *files], check=True, timeout=300)
    return np.load(files[1])


def test_the_first_row_is_what_the_silero_package_computes(
    vad: SileroVAD, long_call: Waveform, reference: Probabilities
) -> None:
    probabilities = vad(long_call)
    assert probabilities.shape == reference.shape
    assert probabilities.shape == (math.ceil(len(long_call) / FRAME_SAMPLES),)
    first, expected = probabilities[:ROW_FRAMES], reference[:ROW_FRAMES]
    assert 0.2 < (expected > SPEECH_THRESHOLD).mean() < 0.8
    assert np.abs(first - expected).max() < 1e-3


def test_rows_side_by_side_find_the_speech_that_a_single_run_finds(
    vad: SileroVAD, long_call: Waveform, reference: Probabilities
) -> None:
    probabilities = vad(long_call)
    differ = (probabilities > SPEECH_THRESHOLD) != (reference > SPEECH_THRESHOLD)
    assert differ.mean() < 0.005
    assert np.abs(probabilities - reference).mean() < 0.01


def test_a_block_continues_the_one_before_it(vad: SileroVAD, long_call: Waveform) -> None:
    """Its first row comes out as it does in the middle of a block."""
    one_row_earlier = vad(long_call[BLOCK_SAMPLES - ROW_FRAMES * FRAME_SAMPLES :])
    assert np.allclose(vad(long_call)[BLOCK_FRAMES:], one_row_earlier[ROW_FRAMES:], atol=1e-4)


def test_speech_is_found_in_a_phone_call_where_it_begins(
    vad: SileroVAD, phone_call: Waveform
) -> None:
    segments = speech_segments(vad(phone_call), len(phone_call) / SAMPLE_RATE_HZ)
    assert segments[0].start == pytest.approx(6.7, abs=0.2)
    assert sum(segment.duration_s for segment in segments) > 15


@pytest.mark.parametrize("n_samples", [0, 1, 511, 512, 513, 80_000])
def test_silence_of_any_length_is_no_speech(vad: SileroVAD, n_samples: int) -> None:
    probabilities = vad(np.zeros(n_samples, np.float32))
    assert probabilities.shape == (math.ceil(n_samples / FRAME_SAMPLES),)
    assert (probabilities < SILENCE_THRESHOLD).all()


@pytest.mark.pure
def test_speech_goes_on_through_doubtful_frames_and_ends_in_silent_ones() -> None:
    probabilities = np.repeat(np.float32([0.4, 0.6, 0.4, 0.1, 0.4]), 10)
    assert speech_segments(probabilities, 50 * FRAME_S) == [Interval(10 * FRAME_S, 30 * FRAME_S)]


@pytest.mark.pure
def test_a_short_silence_is_part_of_speech_and_a_click_is_none() -> None:
    frames = [(0.9, 10), (0.0, 5), (0.9, 10), (0.0, 6), (0.9, 3), (0.0, 6), (0.9, 4)]
    probabilities = np.concatenate([np.full(n, p, np.float32) for p, n in frames])
    assert speech_segments(probabilities, 44 * FRAME_S) == [
        Interval(0.0, 25 * FRAME_S),
        Interval(40 * FRAME_S, 44 * FRAME_S),
    ]


@pytest.mark.pure
@given(speech_probabilities())
def test_speech_segments_are_in_order_long_enough_and_apart(probabilities: Probabilities) -> None:
    duration_s = len(probabilities) * FRAME_S
    segments = speech_segments(probabilities, duration_s)
    assert all(s.start >= 0 and s.end <= duration_s for s in segments)
    assert all(s.duration_s >= MIN_SPEECH_S for s in segments)
    assert all(b.start - a.end > MIN_SILENCE_S for a, b in itertools.pairwise(segments))


@pytest.mark.pure
@given(speech_probabilities())
def test_padding_keeps_all_speech_and_stays_in_the_recording(probabilities: Probabilities) -> None:
    duration_s = len(probabilities) * FRAME_S
    segments = speech_segments(probabilities, duration_s)
    padded = pad_segments(segments, duration_s)
    assert subtract(segments, padded, 1e-9) == []
    assert all(s.start >= 0 and s.end <= duration_s for s in padded)
    assert all(a.end < b.start for a, b in itertools.pairwise(padded))
    around = [Interval(s.start - PAD_S, s.end + PAD_S) for s in segments]
    assert subtract(padded, around, 1e-9) == []
