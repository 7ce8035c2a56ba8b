"""Every recording that there is, minutes of nothing, and ten minutes of five people who talk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from answers import check_answer

WORDS = {"return_timestamps": "word"}


def test_every_conversation_keeps_the_promises(handler, data: Path) -> None:
    files = sorted((data / "conversations").glob("*.flac"))
    assert len(files) > 1
    for file in files:
        if file.stem in ("long_five_speakers", "four_speakers_text"):
            continue  # Minutes: below, and tests/test_pipeline.py.
        answer = handler({"inputs": file.read_bytes(), "parameters": WORDS})
        check_answer(answer)
        # A meeting in which next to nothing is said, far from the microphone.
        assert file.stem == "ami_trn01" or (answer["text"] and answer["speakers"]), file


def test_every_format_is_read(handler, data: Path) -> None:
    files = sorted((data / "formats").iterdir())
    assert {".wav", ".mp3", ".webm", ".amr"} <= {file.suffix for file in files}
    for file in files:
        answer = handler({"inputs": file.read_bytes(), "parameters": WORDS})
        check_answer(answer)
        assert answer["text"].strip(), file


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
