"""Whisper's rule of what to do with a window's text, without a model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from speech_endpoint.whisper.fallback import (
    Decision,
    TextQuality,
    compression_ratio,
    decide,
    temperatures,
)

pytestmark = pytest.mark.pure
GOOD = TextQuality(
    mean_log_probability=-0.2,
    compression_ratio=1.4,
    repeats_itself=False,
    no_speech_probability=0.01,
)
UNLIKELY = replace(GOOD, mean_log_probability=-1.3)
SILENT = replace(UNLIKELY, no_speech_probability=0.9)


def decision(
    quality: TextQuality, *, is_second_pass: bool = False, is_split: bool = False, duration_s=20.0
) -> Decision:
    return decide(quality, is_second_pass=is_second_pass, is_split=is_split, duration_s=duration_s)


@pytest.mark.parametrize(
    ("quality", "needed"),
    [
        (GOOD, False),
        (UNLIKELY, True),
        (replace(GOOD, compression_ratio=2.5), True),
        (replace(GOOD, repeats_itself=True), True),
        (replace(GOOD, no_speech_probability=0.9), False),
    ],
)
def test_unlikely_or_repetitive_text_is_decoded_again(quality: TextQuality, needed: bool) -> None:
    assert quality.needs_fallback == needed


@pytest.mark.parametrize(
    ("first", "all_of_them"),
    [(0.0, (0.0, 0.4, 0.8)), (0.2, (0.2, 0.4, 0.8)), (0.4, (0.4, 0.8)), (1.0, (1.0,))],
)
def test_decoding_begins_at_a_temperature_and_goes_on_to_higher_ones(
    first: float, all_of_them: tuple[float, ...]
) -> None:
    assert temperatures(first) == all_of_them


def test_what_is_likely_is_kept_even_where_silence_is_suspected() -> None:
    assert decision(replace(GOOD, no_speech_probability=0.9)) is Decision.KEEP


def test_what_is_unlikely_where_nobody_seems_to_speak_is_dropped_and_the_caller_told() -> None:
    assert decision(SILENT) is Decision.DROP_UNCLEAR


def test_an_unlikely_window_is_split_once_and_only_if_it_is_long() -> None:
    assert decision(UNLIKELY) is Decision.SPLIT
    assert decision(UNLIKELY, duration_s=3.0) is Decision.KEEP
    assert decision(UNLIKELY, is_second_pass=True, is_split=True) is Decision.DROP_UNCLEAR


def test_a_second_pass_has_to_be_sure() -> None:
    assert decision(GOOD, is_second_pass=True) is Decision.KEEP
    assert decision(UNLIKELY, is_second_pass=True) is Decision.DROP
    assert decision(replace(GOOD, compression_ratio=3.0), is_second_pass=True) is Decision.DROP


def test_a_text_that_does_not_repeat_itself_is_better_than_a_likelier_one_that_does() -> None:
    repeating = replace(GOOD, repeats_itself=True, mean_log_probability=-0.01)
    assert GOOD.is_better_than(repeating) and not repeating.is_better_than(GOOD)
    assert GOOD.is_better_than(UNLIKELY) and not UNLIKELY.is_better_than(GOOD)
    assert not GOOD.is_better_than(GOOD)


def test_repetition_compresses_and_nothing_does_not() -> None:
    assert compression_ratio("") == 0.0
    assert compression_ratio("thank you " * 30) > 5 > compression_ratio("thank you very much")
