"""Voiceprints as text: there and back, and what is said of damaged ones."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_endpoint.voices.references import is_voiceprint
from speech_endpoint.voices.voiceprint import EmbeddingModel, NoVoiceprint, Voiceprint, parse

pytestmark = pytest.mark.pure

MODEL = EmbeddingModel("0123abcd", 192)


def embedding(seed: int, dimension: int = 192) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=dimension).astype(np.float32)


def refusal(text: str) -> str:
    with pytest.raises(NoVoiceprint) as caught:
        parse(text, MODEL)
    return str(caught.value)


@given(st.integers(0, 10_000), st.floats(1e-3, 1e3))
def test_k1_a_string_gives_back_the_voice_whatever_its_length(seed: int, length: float):
    vector = embedding(seed)
    text = str(Voiceprint.of(MODEL.name, length * vector))
    again = parse(text, MODEL)
    assert is_voiceprint(text) and len(text) == len("vp1.0123abcd.") + 512
    assert float(again.vector @ vector) / float(np.linalg.norm(vector)) > 0.9999
    assert str(parse(str(again), MODEL)) == str(again)


def test_k1_a_voiceprint_of_another_model_is_refused_naming_both():
    message = refusal(str(Voiceprint.of("fedcba98", embedding(0))))
    assert "fedcba98" in message and MODEL.name in message


def digits(values: np.ndarray) -> str:
    return base64.urlsafe_b64encode(values.astype("<f2").tobytes()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("vp1.0123abcd", "damaged"),
        ("vp1.0123abcd.AA+/", "damaged"),
        ("vp1.0123abcd.A", "192 values"),
        ("vp1.0123abcd." + digits(np.ones(191) / 191**0.5), "192 values"),
        ("vp1.0123abcd." + digits(np.zeros(192)), "no unit vector"),
        ("vp1.0123abcd." + digits(np.full(192, np.nan)), "no unit vector"),
        ("vp1.0123abcd." + digits(np.full(192, np.inf)), "no unit vector"),
        ("vp1.0123abcd." + digits(np.ones(192)), "no unit vector"),
        ("vp2.0123abcd." + digits(np.ones(192) / 192**0.5), "version vp2"),
        ("vp1.0123abcd." + "A" * 1_000_000, "damaged"),
    ],
)
def test_k1_a_damaged_voiceprint_is_refused_in_a_line(text: str, says: str):
    assert says in refusal(text) and len(refusal(text)) < 200


@given(st.text())
def test_k1_whatever_a_text_is_it_is_read_or_refused(text: str):
    refusal("vp1." + text)


@given(st.binary(min_size=3))
def test_the_base64_of_a_clip_is_no_voiceprint(clip: bytes):
    assert not is_voiceprint(base64.b64encode(clip).decode())
    assert not is_voiceprint("data:audio/wav;base64,")


def test_k8_a_voice_is_not_told_where_objects_are_printed():
    voice = Voiceprint.of(MODEL.name, embedding(0))
    assert str(voice)[20:60] not in repr(voice) and str(voice.vector[0]) not in repr([voice])
