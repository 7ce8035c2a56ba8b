"""Transcripts and errors as files."""

from __future__ import annotations

import io
import json

import pyarrow.parquet as pq
import pytest

from speech_endpoint.archive.tables import (
    ERRORS,
    TRANSCRIPTS,
    Failure,
    error_row,
    serialised,
    transcript_row,
)
from speech_endpoint.errors import InvalidRequest, OutOfMemory
from speech_endpoint.transcript import Segment, Transcript, Turn, Word

pytestmark = pytest.mark.pure

WORDS = (Word(" Guten", 0.1, 0.4, 0.91, "SPEAKER_00"), Word(" Tag.", 0.4, 0.9, 0.82, "SPEAKER_00"))
TRANSCRIPT = Transcript(
    (Segment(WORDS, "de"),),
    turns=(Turn("SPEAKER_00", WORDS, confidence=0.9),),
    language="de",
    duration_s=1.2345,
    warnings=("quiet",),
)


def test_parquet_gives_back_words_turns_and_language():
    content = serialised([transcript_row("a/b.wav", TRANSCRIPT)], TRANSCRIPTS, "parquet")
    (row,) = pq.read_table(io.BytesIO(content)).to_pylist()
    assert row["file"] == "a/b.wav"
    assert (row["language"], row["text"], row["duration"]) == ("de", "Guten Tag.", 1.234)
    assert [(w["text"], w["start"], w["end"]) for w in row["words"]] == [
        (" Guten", 0.1, 0.4),
        (" Tag.", 0.4, 0.9),
    ]
    assert row["turns"] == [
        {
            "speaker": "SPEAKER_00",
            "text": "Guten Tag.",
            "start": 0.1,
            "end": 0.9,
            "overlap": False,
            "confidence": 0.9,
        }
    ]
    assert row["warnings"] == ["quiet"]


def test_json_lines_say_the_same_as_parquet():
    rows = [transcript_row("a.wav", TRANSCRIPT), transcript_row("ü\n.wav", TRANSCRIPT)]
    lines = serialised(rows, TRANSCRIPTS, "jsonl").decode().splitlines()
    table = pq.read_table(io.BytesIO(serialised(rows, TRANSCRIPTS, "parquet"))).to_pylist()
    for line, row in zip(lines, table, strict=True):
        for word in row["words"]:
            word["probability"] = round(word["probability"], 4)
        assert json.loads(line) == row


def test_a_table_without_rows_has_its_columns():
    table = pq.read_table(io.BytesIO(serialised([], TRANSCRIPTS, "parquet")))
    assert table.schema.equals(TRANSCRIPTS)
    assert serialised([], ERRORS, "jsonl") == b""


def test_an_error_says_field_code_and_message_and_no_secret():
    failure = Failure.of(InvalidRequest("inputs", "unreadable", "not audio"))
    assert error_row("x.wav", failure) == {
        "file": "x.wav",
        "field": "inputs",
        "code": "unreadable",
        "message": "not audio",
    }
    assert Failure.of(OutOfMemory("out of memory; send less")).code == "out_of_memory"
    assert "hf_secret" not in Failure.of(OSError("401 for hf_secretsecret")).message
    assert Failure.of(KeyError("hf_secret")).message == "could not be transcribed (KeyError)"
