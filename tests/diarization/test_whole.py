"""What becomes of the output of a pyannote pipeline."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from pyannote.core import Annotation, Segment

from speech_endpoint.diarization.whole import to_diarization
from speech_endpoint.transcript import SpeakerTurn

pytestmark = pytest.mark.pure


def annotation(*turns: tuple[float, float, str]) -> Annotation:
    result = Annotation()
    for n, (start, end, speaker) in enumerate(turns):
        result[Segment(start, end), n] = speaker
    return result


def test_a_bare_annotation_gets_exclusive_turns_within_the_recording():
    diarization = to_diarization(annotation((1.0, 3.0, "x"), (0.0, 2.0, "z")), duration_s=2.5)
    assert diarization.turns == (SpeakerTurn("z", 0.0, 2.0), SpeakerTurn("x", 1.0, 2.5))
    assert diarization.exclusive_turns == (SpeakerTurn("z", 0.0, 1.0), SpeakerTurn("x", 1.0, 2.5))
    assert diarization.embeddings == {}


def test_speakers_keep_the_labels_of_the_pipeline():
    output = SimpleNamespace(
        speaker_diarization=annotation((0.0, 1.0, "b"), (1.0, 2.0, "a"), (2.0, 3.0, "c")),
        exclusive_speaker_diarization=annotation((1.0, 2.0, "a")),
        speaker_embeddings=np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]),
    )
    diarization = to_diarization(output, duration_s=3.0)
    assert [turn.speaker for turn in diarization.turns] == ["b", "a", "c"]
    assert diarization.exclusive_turns == (SpeakerTurn("a", 1.0, 2.0),)
    assert {name: list(row) for name, row in diarization.embeddings.items()} == {
        "a": [1, 0],
        "b": [0, 1],
    }


@pytest.mark.parametrize("unknown", [0.0, np.nan])
def test_a_speaker_who_was_counted_but_not_embedded_has_no_embedding(unknown):
    output = SimpleNamespace(
        speaker_diarization=annotation((0.0, 1.0, "a"), (0.5, 1.0, "b")),
        speaker_embeddings=np.array([[1.0, 2.0], [unknown, unknown]]),
    )
    assert to_diarization(output, duration_s=1.0).embeddings.keys() == {"a"}


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_embeddings_that_are_not_one_for_each_speaker_are_left_out(rows):
    """As the pipeline of another maker may return them."""
    output = SimpleNamespace(
        speaker_diarization=annotation((0.0, 1.0, "a"), (0.5, 1.0, "b")),
        speaker_embeddings=np.ones((rows, 2)),
    )
    diarization = to_diarization(output, duration_s=1.0)
    assert diarization.embeddings == {}
    assert {turn.speaker for turn in diarization.turns} == {"a", "b"}
