"""How sure it is that a turn is its speaker's."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from pyannote.core import SlidingWindow, SlidingWindowFeature

from speech_endpoint.diarization.confidence import LocalSpeakers, probability
from speech_endpoint.transcript import Diarization, SpeakerTurn

pytestmark = pytest.mark.pure

ANNA, BERT = np.eye(2, dtype=np.float32)
BETWEEN = (ANNA + BERT) / np.sqrt(2)
# Chunks of 4 s, one every second, of 40 frames; the second local speaker never speaks.
WINDOW = SlidingWindow(start=0.0, duration=4.0, step=1.0)


def confidences(
    voices: list[np.ndarray], turns: list[SpeakerTurn], **centroids: np.ndarray
) -> list[float | None]:
    """Of turns, where the local speaker of chunk n has the embedding `voices[n]`."""
    active = np.zeros((len(voices), 40, 2), np.uint8)
    active[:, :, 0] = 1
    embeddings = np.full((len(voices), 2, 2), np.nan, np.float32)
    embeddings[:, 0] = voices
    heard = LocalSpeakers()
    heard("segmentation", None)
    heard("segmentation", SlidingWindowFeature(active, WINDOW))
    heard("embeddings", embeddings)
    found = Diarization(tuple(turns), tuple(turns), centroids)
    return [turn.confidence for turn in heard.with_confidence(found).exclusive_turns]


def test_whose_voice_lies_between_two_speakers_is_less_sure():
    turns = [SpeakerTurn("a", 0.0, 1.0), SpeakerTurn("a", 10.0, 11.0), SpeakerTurn("a", 20.0, 21.0)]
    voices = [ANNA] * 6 + [BETWEEN] * 6 + [BERT] * 12
    sure, doubtful, wrong = confidences(voices, turns, a=ANNA, b=BERT)
    assert sure is not None and doubtful is not None and wrong is not None
    assert sure > 0.99 and sure > doubtful > wrong and wrong < 0.1


def test_a_turn_without_an_embedding_is_neither_sure_nor_unsure():
    nobody = np.full(2, np.nan)
    assert confidences([nobody] * 5, [SpeakerTurn("a", 1.0, 2.0)], a=ANNA) == [None]


def test_a_pipeline_that_tells_no_embeddings_leaves_turns_as_they_are():
    found = Diarization((SpeakerTurn("a", 0.0, 1.0),), (SpeakerTurn("a", 0.0, 1.0),))
    assert LocalSpeakers().with_confidence(found) == found


@given(st.floats(-2, 2), st.floats(-2, 2))
def test_a_larger_margin_is_surer(one, other):
    assert 0 < probability(one) < 1
    assert (probability(one) <= probability(other)) == (one <= other) or one == pytest.approx(other)
