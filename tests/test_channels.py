"""Recordings with one speaker on each channel, as telephone systems make them."""

from __future__ import annotations

import numpy as np
import pytest
from answers import check_answer
from paths import AUSTEN, KENNEDY

from speech_endpoint.audio.decoding.decode import decode_audio


def read(path) -> np.ndarray:
    return decode_audio(path.read_bytes(), 16_000, 60)


@pytest.fixture(scope="module")
def call() -> np.ndarray:
    """The second speaker, on the right, begins when the first has ended: (2, samples)."""
    first, second = read(KENNEDY), read(AUSTEN)
    both = np.zeros((2, first.size + second.size), np.float32)
    both[0, : first.size], both[1, first.size :] = first, second
    return both


def test_each_channel_is_a_speaker(handler, wav, call: np.ndarray) -> None:
    answer = handler(
        {"inputs": wav(call), "parameters": {"channels": "speakers", "return_timestamps": "word"}}
    )
    check_answer(answer)
    assert [turn["speaker"] for turn in answer["speakers"]] == ["SPEAKER_00", "SPEAKER_01"]
    assert "amiable" in answer["speakers"][1]["text"]
    assert not any(turn["overlap"] for turn in answer["speakers"])


def test_who_speaks_first_is_the_first_speaker(handler, wav, call: np.ndarray) -> None:
    answer = handler({"inputs": wav(call[::-1]), "parameters": {"channels": "speakers"}})
    assert [turn["speaker"] for turn in answer["speakers"]] == ["SPEAKER_00", "SPEAKER_01"]
    assert "amiable" in answer["speakers"][1]["text"]


def test_both_at_once_are_both_heard_and_keep_their_sentences(handler, wav) -> None:
    speakers = [read(KENNEDY), read(AUSTEN)]
    length = min(speaker.size for speaker in speakers)
    both = wav(np.stack([speaker[:length] for speaker in speakers]))
    answer = handler(
        {"inputs": both, "parameters": {"channels": "speakers", "return_timestamps": "word"}}
    )
    check_answer(answer, crosstalk=True)
    assert {turn["speaker"] for turn in answer["speakers"]} == {"SPEAKER_00", "SPEAKER_01"}
    assert any(turn["overlap"] for turn in answer["speakers"])
    assert len(answer["speakers"]) <= 4
    assert any("a more amiable woman" in turn["text"] for turn in answer["speakers"])


def test_what_bleeds_into_the_other_channel_is_written_once(handler, wav, call) -> None:
    # Each hears the other's loudspeaker, 20 dB down and 30 ms later.
    bleeding = call + 0.1 * np.roll(call[::-1], 480, axis=1)
    parameters = {"channels": "speakers", "return_timestamps": "word"}
    answer = handler({"inputs": wav(bleeding), "parameters": parameters})
    check_answer(answer)
    assert [turn["speaker"] for turn in answer["speakers"]] == ["SPEAKER_00", "SPEAKER_01"]
    for word, speaker in (("Americans", 0), ("amiable", 1)):
        assert answer["text"].count(word) == 1
        assert word in answer["speakers"][speaker]["text"]


def test_equal_channels_are_one_speaker_with_a_warning(handler, wav) -> None:
    once = read(AUSTEN)
    answer = handler(
        {"inputs": wav(np.stack([once, -0.5 * once])), "parameters": {"channels": "speakers"}}
    )
    assert answer["text"].count("amiable") == 1
    assert {turn["speaker"] for turn in answer["speakers"]} == {"SPEAKER_00"}
    assert [warning for warning in answer["warnings"] if "the same sound" in warning]


def test_one_channel_is_one_speaker(handler, wav) -> None:
    answer = handler({"inputs": wav(read(AUSTEN)), "parameters": {"channels": "speakers"}})
    assert {turn["speaker"] for turn in answer["speakers"]} == {"SPEAKER_00"}
