"""Minutes of nothing, and ten minutes of five people who talk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from answers import check_answer

WORDS = {"return_timestamps": "word"}


def test_twenty_minutes_of_silence_have_no_words(handler, wav) -> None:
    answer = handler({"inputs": wav(np.zeros(20 * 60 * 16_000)), "parameters": WORDS})
    check_answer(answer)
    assert answer["text"] == "" and answer["stats"]["steps"] == 0


def test_ten_minutes_of_conversation_keep_the_promises(handler, data: Path) -> None:
    """More windows than slots, in more than one section of the diarization."""
    audio = (data / "conversations" / "long_five_speakers.flac").read_bytes()
    answer = handler({"inputs": audio, "parameters": WORDS})
    check_answer(answer)
    assert len(answer["words"]) > 1500
    assert len({turn["speaker"] for turn in answer["speakers"]}) == 5
