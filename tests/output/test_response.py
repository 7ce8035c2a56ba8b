"""The JSON of an answer: what is there, what is left out, how it is rounded."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import strategies
from hypothesis import given

from speech_endpoint.config import InferenceConfig
from speech_endpoint.output.formats import render
from speech_endpoint.output.response import to_json
from speech_endpoint.transcript import Segment, Transcript, Turn, Word

pytestmark = pytest.mark.pure

WORDS = (
    Word(" Hello.", 6.58049, 7.2196, 0.91, "SPEAKER_00"),
    Word(" Hi.", 7.58, 8.2, 0.8123456, "SPEAKER_00"),
)
CALL = Transcript(
    segments=(Segment(WORDS, "en"),),
    turns=(Turn("SPEAKER_00", WORDS, overlap=True),),
    language="en",
    duration_s=30.00049,
    warnings=("one",),
    timings_s={"decode": 0.12345, "total": 5.0},
    stats={"steps": 40, "fallbacks": 2, "acceptance_rate": 0.51239},
)


def answer(transcript: Transcript, **parameters: Any) -> dict[str, Any]:
    return to_json(transcript, InferenceConfig(**parameters))


def test_an_answer_with_words_is_complete():
    words = [
        {
            "text": " Hello.",
            "timestamp": [6.58, 7.22],
            "speaker": "SPEAKER_00",
            "probability": 0.91,
        },
        {
            "text": " Hi.",
            "timestamp": [7.58, 8.2],
            "speaker": "SPEAKER_00",
            "probability": 0.8123456,
        },
    ]
    text, timestamp = " Hello. Hi.", [6.58, 8.2]
    given = answer(CALL, return_timestamps="word")
    assert given == {
        "text": text,
        "chunks": [
            {
                "text": text,
                "timestamp": timestamp,
                "speaker": "SPEAKER_00",
                "language": "en",
                "words": words,
            }
        ],
        "speakers": [
            {
                "speaker": "SPEAKER_00",
                "text": text,
                "timestamp": timestamp,
                "overlap": True,
                "words": words,
            }
        ],
        "words": words,
        "language": "en",
        "duration": 30.0,
        "warnings": ["one"],
        "timings": {"decode": 0.123, "total": 5.0, "steps": 40, "acceptance_rate": 0.512},
        "stats": {"steps": 40, "fallbacks": 2, "acceptance_rate": 0.512},
    }
    assert list(given["chunks"][0]) == ["text", "timestamp", "speaker", "language", "words"]


def test_words_are_left_out_unless_they_are_asked_for():
    for return_timestamps in (True, "segment"):
        given = answer(CALL, return_timestamps=return_timestamps)
        assert "words" not in given
        assert "words" not in given["chunks"][0] and "words" not in given["speakers"][0]


def test_no_timestamps_are_no_chunks_but_turns_stay():
    given = answer(CALL, return_timestamps=False)
    assert given["chunks"] == [] and len(given["speakers"]) == 1 and given["text"]


def test_without_diarization_nothing_has_a_speaker():
    given = answer(Transcript((Segment((Word(" Hi", 0.0, 1.0),), "en"),)), return_timestamps="word")
    assert given["speakers"] == []
    assert "speaker" not in given["chunks"][0] and "speaker" not in given["words"][0]


def test_an_unknown_language_is_null_for_the_whole_and_absent_from_a_chunk():
    given = answer(Transcript((Segment((Word(" Hi", 0.0, 1.0),)),)))
    assert given["language"] is None and "language" not in given["chunks"][0]


def test_nothing_said_is_an_empty_answer():
    given = answer(Transcript(()), return_timestamps="word")
    assert (given["text"], given["chunks"], given["speakers"], given["words"]) == ("", [], [], [])
    assert given["language"] is None and given["warnings"] == []


@pytest.mark.parametrize("response_format", ["text", "srt", "vtt", "rttm"])
def test_a_rendering_is_the_content(response_format: str):
    given = answer(CALL, response_format=response_format)
    assert given["content"] == render(CALL, response_format)
    assert given["text"] == CALL.text


def test_plain_json_has_no_content():
    assert "content" not in answer(CALL)


def test_numbers_of_numpy_become_pythons_own():
    word = Word(" Hi", np.float64(0.0005), np.float32(1.0), np.float32(0.5))  # type: ignore[arg-type]
    given = answer(Transcript((Segment((word,)),)), return_timestamps="word")["words"][0]
    numbers = [*given["timestamp"], given["probability"]]
    assert [type(number) for number in numbers] == [float] * 3
    assert numbers == [round(0.0005, 3), 1.0, 0.5]


@given(strategies.transcripts)
def test_every_answer_is_json_and_joins_to_its_text(transcript: Transcript):
    given = answer(transcript, return_timestamps="word")
    assert json.loads(json.dumps(given, allow_nan=False)) == given
    assert "".join(chunk["text"] for chunk in given["chunks"]) == given["text"]
    assert "".join(word["text"] for word in given["words"]) == given["text"]
    assert given["stats"].items() <= given["timings"].items()
    for chunk, segment in zip(given["chunks"], transcript.segments, strict=True):
        assert chunk["timestamp"] == pytest.approx([segment.start, segment.end], abs=0.0005)


@given(strategies.transcripts)
def test_asking_for_less_leaves_the_rest_as_it_is(transcript: Transcript):
    full = answer(transcript, return_timestamps="word")
    less = answer(transcript, return_timestamps=True)
    full.pop("words")
    for part in (*full["chunks"], *full["speakers"]):
        part.pop("words")
    assert less == full


def test_subtitles_are_as_the_parameters_ask():
    asked = answer(CALL, response_format="srt", max_line_chars=20, speaker_labels=False)
    assert asked["content"].count("\n\n") == 1 and "Hello. Hi." in asked["content"]
    labelled = answer(CALL, response_format="srt", max_line_chars=20)["content"]
    assert "\nSPEAKER_00: Hello.\n" in labelled and "\nSPEAKER_00: Hi.\n" in labelled
