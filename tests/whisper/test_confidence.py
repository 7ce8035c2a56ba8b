"""A word's probability: a number to sort by, and about as often right as it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paths import MODELS, PHONE_CALL

from benchmarks.reliability import area_under_roc, expected_calibration_error, judge_words
from speech_endpoint.audio.decoding.decode import decode_audio
from speech_endpoint.config import InferenceConfig, ModelSettings
from speech_endpoint.transcription.transcriber import Transcriber
from speech_endpoint.whisper.confidence import word_probability

LOG_PROBABILITIES = st.floats(-1e4, 0.0)
Judged = tuple[list[float], list[bool]]


@pytest.mark.pure
@given(st.lists(st.floats(-1e4, 1e-3), max_size=20))
def test_a_probability_lies_between_0_and_1(log_probabilities: list[float]) -> None:
    assert 0.0 <= word_probability(log_probabilities) <= 1.0


@pytest.mark.pure
@given(st.lists(LOG_PROBABILITIES, min_size=1, max_size=6), st.data())
def test_a_word_is_no_surer_for_a_less_likely_or_a_further_token(
    log_probabilities: list[float], data: st.DataObject
) -> None:
    before = word_probability(log_probabilities)
    assert word_probability([*log_probabilities, data.draw(LOG_PROBABILITIES)]) <= before
    n = data.draw(st.integers(0, len(log_probabilities) - 1))
    worse = list(log_probabilities)
    worse[n] += data.draw(LOG_PROBABILITIES)
    assert word_probability(worse) <= before


@pytest.mark.pure
def test_a_certain_word_has_the_probability_1() -> None:
    assert word_probability([0.0, 0.0]) == 1.0


@pytest.fixture(scope="module")
def judged() -> Callable[[Path, Path], Judged]:
    """The probabilities of a recording's words, and which are right by its STM file."""
    transcriber = Transcriber(ModelSettings(asr_model=str(MODELS / "whisper-base")), ".")

    def judge(audio: Path, stm: Path) -> Judged:
        lines = [line.split(maxsplit=5) for line in stm.read_text().splitlines()]
        said = " ".join(line[5] for line in sorted(lines, key=lambda line: float(line[3])))
        waveform = decode_audio(audio.read_bytes(), 16_000, 3600)
        segments = transcriber(waveform, InferenceConfig(language="en")).segments
        words = [word for segment in segments for word in segment.words]
        verdicts = judge_words(said, words, "en")
        return [word.probability for word, _ in verdicts], [right for _, right in verdicts]

    return judge


def test_right_words_of_a_phone_call_are_surer_than_wrong_ones(
    judged: Callable[[Path, Path], Judged],
) -> None:
    probabilities, is_right = judged(PHONE_CALL, PHONE_CALL.with_suffix(".stm"))
    assert area_under_roc(probabilities, is_right) > 0.7


def test_words_of_readers_are_right_as_often_as_their_probabilities_say(
    data: Path, judged: Callable[[Path, Path], Judged]
) -> None:
    stm = data / "conversations" / "four_speakers_text.stm"
    probabilities, is_right = judged(stm.with_suffix(".flac"), stm)
    assert area_under_roc(probabilities, is_right) > 0.8
    assert expected_calibration_error(probabilities, is_right) < 0.05
    assert expected_calibration_error(probabilities, is_right, equal_mass=True) < 0.05
    assert np.mean(probabilities) == pytest.approx(np.mean(is_right), abs=0.04)
