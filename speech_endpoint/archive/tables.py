"""Transcripts and errors as rows, and rows as files. Pure."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from speech_endpoint.errors import InvalidRequest, printable, without_tokens
from speech_endpoint.transcript import Transcript, Turn, Word

Format = Literal["parquet", "jsonl"]
Row = dict[str, Any]
ROWS_PER_GROUP = 64
"""Of a Parquet file: a row can be read without all others."""

_WORD = [
    ("text", pa.string()),
    ("start", pa.float64()),
    ("end", pa.float64()),
    ("probability", pa.float32()),
    ("speaker", pa.string()),
]
_TURN = [
    ("speaker", pa.string()),
    ("text", pa.string()),
    ("start", pa.float64()),
    ("end", pa.float64()),
    ("overlap", pa.bool_()),
    ("confidence", pa.float64()),
]
TRANSCRIPTS = pa.schema(
    [
        ("file", pa.string()),
        ("language", pa.string()),
        ("duration", pa.float64()),
        ("text", pa.string()),
        ("words", pa.list_(pa.struct(_WORD))),
        ("turns", pa.list_(pa.struct(_TURN))),
        ("warnings", pa.list_(pa.string())),
    ]
)
"""A row a recording; times in seconds, turns only with diarization."""
ERRORS = pa.schema([(name, pa.string()) for name in ("file", "field", "code", "message")])
"""A row a recording that has no transcript; fields and codes are those of the API."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a recording has no transcript."""

    field: str
    code: str
    message: str

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """What a table says of an error: nothing secret, one line."""
        if isinstance(error, InvalidRequest):
            return cls(error.field, error.code, error.message)
        if isinstance(error, OSError):
            return cls("inputs", "unreadable", without_tokens(printable(str(error))))
        if isinstance(error, MemoryError | RuntimeError) and "out of memory" in str(error):
            return cls("inputs", "out_of_memory", printable(str(error)))
        return cls("inputs", "internal_error", f"could not be transcribed ({type(error).__name__})")


Outcome = Transcript | Failure


def transcript_row(file: str, transcript: Transcript) -> Row:
    """A row of `TRANSCRIPTS`."""
    return {
        "file": file,
        "language": transcript.language,
        "duration": _seconds(transcript.duration_s),
        "text": transcript.text.strip(),
        "words": [_word(word) for word in transcript.words],
        "turns": [_turn(turn) for turn in transcript.turns],
        "warnings": list(transcript.warnings),
    }


def error_row(file: str, failure: Failure) -> Row:
    """A row of `ERRORS`."""
    return {
        "file": file,
        "field": failure.field,
        "code": failure.code,
        "message": failure.message,
    }


def serialised(rows: Sequence[Row], schema: pa.Schema, table_format: Format) -> bytes:
    """A whole file: Parquet, or a line of JSON a row. The same bytes for the same rows."""
    if table_format == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    stream = io.BytesIO()
    table = pa.Table.from_pylist(list(rows), schema)
    pq.write_table(table, stream, compression="zstd", row_group_size=ROWS_PER_GROUP)
    return stream.getvalue()


def _word(word: Word) -> Row:
    return {
        "text": word.text,
        "start": _seconds(word.start),
        "end": _seconds(word.end),
        "probability": round(float(word.probability), 4),
        "speaker": word.speaker,
    }


def _turn(turn: Turn) -> Row:
    return {
        "speaker": turn.speaker,
        "text": turn.text.strip(),
        "start": _seconds(turn.start),
        "end": _seconds(turn.end),
        "overlap": turn.overlap,
        "confidence": turn.confidence,
    }


def _seconds(value: float) -> float:
    return round(float(value), 3)
