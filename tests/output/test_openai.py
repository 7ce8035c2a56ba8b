"""Shapes of OpenAI's API."""

from __future__ import annotations

import json
import math

import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from speech_endpoint.attribution import attribute
from speech_endpoint.output import openai, openai_shapes
from speech_endpoint.output.formats import render
from speech_endpoint.transcript import (
    DecodingScores,
    Diarization,
    KnownSpeaker,
    Segment,
    SpeakerTurn,
    Transcript,
    Word,
)

pytestmark = pytest.mark.pure

SCORES = DecodingScores(0.4, -0.25, 1.5, 0.02, window_start_s=12.34)
HELLO = Segment(
    (Word(" Hello,", 12.5, 12.9, 0.9, tokens=(1, 2)), Word(" you.", 13.0, 13.25, 0.5, tokens=(3,))),
    "en",
    SCORES,
)
HALLO = Segment((Word(" Hallo.", 14.0, 16.0, 1.0, tokens=(4,)),), "de", SCORES)
TRANSCRIPT = Transcript((HELLO, HALLO), language="de", duration_s=16.0001)


def attributed(*turns: SpeakerTurn) -> Transcript:
    attribution = attribute(TRANSCRIPT.segments, Diarization(turns, turns))
    return Transcript(
        attribution.segments, attribution.turns, attribution.speaker_turns, "de", 16.0001
    )


TWO = attributed(SpeakerTurn("x", 12.0, 13.9), SpeakerTurn("y", 13.9, 16.0))


def test_json_has_the_text_what_it_counts_as_and_its_languages_by_time() -> None:
    assert openai.to_json(TRANSCRIPT) == {
        "text": "Hello, you. Hallo.",
        "usage": {"type": "duration", "seconds": 17},
        "languages": [{"code": "de"}, {"code": "en"}],
    }


def test_log_probabilities_are_of_words_that_join_to_the_text() -> None:
    answer = openai.to_json(TRANSCRIPT, logprobs=True)
    assert "".join(each["token"] for each in answer["logprobs"]) == TRANSCRIPT.text
    assert answer["logprobs"][1]["logprob"] == pytest.approx(math.log(0.5))
    assert bytes(answer["logprobs"][0]["bytes"]).decode() == " Hello,"


def test_a8_a9_verbose_json_has_every_field_of_whisper_1() -> None:
    answer = openai.to_verbose_json(TRANSCRIPT, "transcribe", ["word", "segment"])
    assert answer["language"] == "german" and answer["duration"] == 16.0
    assert answer["segments"][0] == {
        "id": 0,
        "seek": 1234,
        "start": 12.5,
        "end": 13.25,
        "text": " Hello, you.",
        "tokens": [1, 2, 3],
        "temperature": 0.4,
        "avg_logprob": -0.25,
        "compression_ratio": 1.5,
        "no_speech_prob": 0.02,
    }
    assert answer["words"][0] == {"word": "Hello,", "start": 12.5, "end": 12.9, "probability": 0.9}


def test_a8_segments_and_words_are_there_only_if_asked_for() -> None:
    assert "words" not in openai.to_verbose_json(TRANSCRIPT, "transcribe")
    words = openai.to_verbose_json(TRANSCRIPT, "transcribe", ["word"])
    assert "segments" not in words and len(words["words"]) == 3


def test_a_translation_is_in_english_whatever_was_spoken() -> None:
    answer = openai.to_verbose_json(TRANSCRIPT, "translate")
    assert (answer["task"], answer["language"]) == ("translate", "english")


def test_a10_a11_diarized_json_has_a_segment_a_turn_with_letters() -> None:
    answer = openai.to_diarized_json(openai.with_letters(TWO), words=True)
    assert [(each["id"], each["speaker"], each["text"]) for each in answer["segments"]] == [
        ("seg_001", "A", "Hello, you."),
        ("seg_002", "B", "Hallo."),
    ]
    assert answer["text"] == "A: Hello, you.\nB: Hallo."
    assert answer["transcript"] == "Hello, you. Hallo."
    assert answer["segments"][0]["words"][1]["speaker"] == "A"


def test_who_spoke_when_is_told_without_text() -> None:
    answer = openai.to_diarization_json(openai.with_letters(TWO))
    assert answer["num_speakers"] == 2
    assert [each["speaker"] for each in answer["segments"]] == ["A", "B"]
    assert "Hello" not in json.dumps(answer)


@pytest.mark.parametrize(
    ("number", "letters"), [(0, "A"), (25, "Z"), (26, "AA"), (51, "AZ"), (52, "BA"), (702, "AAA")]
)
def test_a10_after_z_comes_aa(number: int, letters: str) -> None:
    assert openai.speaker_letter(number) == letters


@given(strategies.segment_lists, strategies.diarizations)
def test_letters_follow_the_order_of_first_words_and_change_no_word(segments, diarization) -> None:
    attribution = attribute(segments, diarization)
    before = Transcript(attribution.segments, attribution.turns, attribution.speaker_turns)
    after = openai.with_letters(before)
    assert after.text == before.text
    assert len({w.speaker for w in after.words}) == len({w.speaker for w in before.words})
    named = dict.fromkeys(word.speaker for word in after.words if word.speaker)
    assert list(named) == [openai.speaker_letter(n) for n in range(len(named))]


shapes = st.sampled_from([
    (openai.to_json, openai_shapes.Json),
    (lambda t: openai.to_json(t, logprobs=True), openai_shapes.Json),
    (lambda t: openai.to_verbose_json(t, "transcribe", ["word", "segment"]),
     openai_shapes.VerboseJson),
    (openai.to_diarized_json, openai_shapes.DiarizedJson),
    (openai.to_diarization_json, openai_shapes.DiarizationJson),
])  # fmt: skip


@given(strategies.transcripts, shapes)
def test_every_answer_has_the_shape_that_is_published(transcript: Transcript, shape) -> None:
    make, published = shape
    answer = make(transcript)
    json.dumps(answer, allow_nan=False)
    TypeAdapter(published).validate_python(answer, strict=True)


@given(strategies.any_transcripts)
def test_tab_separated_values_have_three_columns_whatever_is_said(transcript: Transcript) -> None:
    head, *lines = render(transcript, "tsv").splitlines()
    assert head == "start\tend\ttext" and len(lines) == len(transcript.segments)
    assert all(len(line.split("\t")) == 3 for line in lines)


def test_who_is_known_by_a_letter_keeps_it_and_no_stranger_has_it() -> None:
    words = [Word(" a", n, n + 1, speaker=name) for n, name in enumerate(("SPEAKER_00", "A"))]
    transcript = Transcript(
        segments=tuple(Segment((word,)) for word in words),
        known_speakers=(
            KnownSpeaker("A", True, "A", 0.9, 1.0),
            KnownSpeaker("Ben", False, "SPEAKER_00", 0.1),
        ),
    )
    named = openai.with_letters(transcript)
    assert [word.speaker for word in named.words] == ["B", "A"]
    assert [each.speaker for each in named.known_speakers] == ["A", "B"]
