"""What every answer promises (docs/endpoint.md), whatever the audio."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from typing import Any


def check_answer(answer: dict[str, Any], *, crosstalk: bool = False) -> None:
    """Fail unless `answer`, asked for with return_timestamps "word", keeps its promises.

    Args:
        answer: as the handler returns it.
        crosstalk: people talk at once, each on a channel: turns keep their utterances whole, where
            words and chunks interleave.
    """
    json.dumps(answer, allow_nan=False)
    duration = answer["duration"]
    for name in ("chunks", "words", "speakers"):
        _check_times(answer[name], duration)
    assert "".join(chunk["text"] for chunk in answer["chunks"]) == answer["text"]
    assert "".join(word["text"] for word in answer["words"]) == answer["text"]
    if answer["speakers"]:
        spoken = [
            (word["text"], word["timestamp"])
            for turn in answer["speakers"]
            for word in turn["words"]
        ]
        assert sorted(spoken) == sorted(
            (word["text"], word["timestamp"]) for word in answer["words"]
        )
        for turn in answer["speakers"]:
            assert turn["text"] == "".join(word["text"] for word in turn["words"])
            _check_times(turn["words"], duration)
        for before, after in itertools.pairwise(answer["speakers"]):
            assert before["speaker"] != after["speaker"]
        _check_speakers(answer, in_order=not crosstalk)
    assert bool(answer["text"]) == bool(answer["chunks"]) == bool(answer["words"])


def _check_speakers(answer: dict[str, Any], *, in_order: bool) -> None:
    """Words, chunks and turns bear the same names, numbered in the order of their first words."""
    by_turn = [turn["speaker"] for turn in answer["speakers"] for _ in turn["words"]]
    by_chunk = [chunk["speaker"] for chunk in answer["chunks"] for _ in chunk["words"]]
    by_word = [word["speaker"] for word in answer["words"]]
    assert by_chunk == by_word
    assert by_turn == by_word if in_order else Counter(by_turn) == Counter(by_word)
    names = list(dict.fromkeys(by_word))
    assert names == list(dict.fromkeys(by_turn)) == [f"SPEAKER_{n:02d}" for n in range(len(names))]


def _check_times(parts: list[dict[str, Any]], duration: float) -> None:
    latest = 0.0
    for part in parts:
        start, end = part["timestamp"]
        assert (
            isinstance(part["timestamp"], list)
            and isinstance(start, float)
            and isinstance(end, float)
        )
        assert latest <= start <= end <= duration, (latest, part["text"], start, end, duration)
        latest = start
