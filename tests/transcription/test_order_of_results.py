"""What a recording gives does not depend on the order in which its windows are done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from decoded import decoded, written
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import MODELS
from recordings import (
    UNLIKELY,
    covered,
    duration_s,
    recording,
    spoken,
    window,
)

from speech_endpoint.transcript import Segment
from speech_endpoint.whisper.batching.sequence import (
    DecodeRequest,
    DecodeResult,
    MultilingualWindow,
)
from speech_endpoint.whisper.checkpoint import load_checkpoint
from speech_endpoint.whisper.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer(load_checkpoint(str(MODELS / "whisper-base")))


def answer(tokenizer: Tokenizer, request: DecodeRequest) -> DecodeResult | MultilingualWindow:
    """Every kind of result there is, by where a window begins and how long it is."""
    if duration_s(request) < 6.0:
        unclear = request.start_s > 30.0
        result = covered(tokenizer, request, f"at-{request.start_s:.0f}")
        return replace(result, quality=UNLIKELY) if unclear else result
    if request.start_s == 0.0:
        sentences = [spoken("one", 0.0, 2.0), spoken("two", 4.0, 5.0), spoken("three", 5.0, 6.0)]
        return decoded(request, written(tokenizer, sentences))
    if request.start_s == 10.0:
        return MultilingualWindow(request)
    return replace(covered(tokenizer, request, "bad"), quality=UNLIKELY)


def play(
    tokenizer: Tokenizer, pick: Callable[[int], int], *, take_each: bool
) -> tuple[list[Segment], list[str]]:
    """Answer a recording's requests, of those waiting the one that `pick` says; what it gives."""
    windows = [window((0.0, 6.0)), window((10.0, 16.0)), window((20.0, 25.0), (40.0, 45.0))]
    decoder = recording(tokenizer, *windows, window((50.0, 52.0)))
    waiting, final = decoder.requests(), []
    while waiting:
        request = waiting.pop(pick(len(waiting)))
        waiting += decoder.on_result(answer(tokenizer, request))
        if take_each:
            final += decoder.take_final()
    return final + decoder.take_final(), sorted(decoder.warnings)


@settings(deadline=None)
@given(st.data())
def test_segments_are_the_same_in_whatever_order_results_come_and_whenever_they_are_taken(
    tokenizer: Tokenizer, data: st.DataObject
) -> None:
    expected, warnings = play(tokenizer, lambda _: 0, take_each=False)
    # The last window too is unclear, and too short to be split: it is kept.
    assert len(warnings) == 1 and len(expected) >= 7
    starts = [word.start for segment in expected for word in segment.words]
    assert starts == sorted(starts)
    assert play(tokenizer, lambda _: 0, take_each=True) == (expected, warnings)
    found = play(tokenizer, lambda n: data.draw(st.integers(0, n - 1)), take_each=True)
    assert found == (expected, warnings)
