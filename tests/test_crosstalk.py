"""What two channels both hold in writing is one person's."""

from __future__ import annotations

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st

from speech_endpoint.crosstalk import without_repeats
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Segment, Word

pytestmark = pytest.mark.pure

LOUD_AND_QUIET = np.array([[0.5], [0.05]], np.float32).repeat(60 * SAMPLE_RATE_HZ, axis=1)


def said(text: str, start: float) -> Segment:
    return Segment(
        tuple(
            Word(f" {word}", start + n * 0.3, start + (n + 1) * 0.3)
            for n, word in enumerate(text.split())
        )
    )


def texts(segments) -> list[str]:
    return [segment.text for segment in segments]


def test_what_both_channels_have_is_left_to_the_louder_one() -> None:
    loud, quiet = (
        said("I will call you back tomorrow.", 1.0),
        said("I'll call you back tomorrow", 1.2),
    )
    own = said("Thank you.", 5.0)
    assert without_repeats([[loud], [quiet, own]], LOUD_AND_QUIET) == [[loud], [own]]
    assert without_repeats([[quiet, own], [loud]], LOUD_AND_QUIET[::-1]) == [[own], [loud]]


def test_an_answer_that_repeats_the_question_is_kept() -> None:
    asked, answered = (
        said("You will call me tomorrow?", 1.0),
        said("You will call me tomorrow.", 4.0),
    )
    assert without_repeats([[asked], [answered]], LOUD_AND_QUIET) == [[asked], [answered]]


def test_a_greeting_of_both_at_once_is_kept() -> None:
    both = [[said("Hello Anna.", 1.0)], [said("Hello Anna.", 1.1)]]
    assert without_repeats(both, LOUD_AND_QUIET) == both


def test_different_words_at_once_are_kept() -> None:
    both = [[said("We go there every summer now.", 1.0)], [said("Did you see the new one?", 1.1)]]
    assert without_repeats(both, LOUD_AND_QUIET) == both


@given(st.lists(strategies.segment_lists, min_size=2, max_size=2))
def test_the_louder_channel_loses_nothing_and_nothing_is_changed(channels) -> None:
    louder, quieter = without_repeats(channels, LOUD_AND_QUIET)
    assert texts(louder) == texts(channels[0])
    left = [word for segment in quieter for word in segment.words]
    before = iter(word for segment in channels[1] for word in segment.words)
    assert all(word in before for word in left)
    assert all(segment.words for segment in quieter)
