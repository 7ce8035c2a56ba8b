"""A recording's worklist: what leaves when, what is decoded again, and what is given up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from decoded import GOOD, alignment_with, decoded, written
from paths import MODELS
from recordings import (
    UNLIKELY,
    covered,
    duration_s,
    recording,
    said,
    spoken,
    window,
)

from speech_endpoint.transcription.recording import (
    MAX_EXTRA_PASSES,
    DetectedSpeech,
    RecordingDecoder,
)
from speech_endpoint.whisper.batching.sequence import (
    DecodeOptions,
    MultilingualWindow,
    RequestGroup,
)
from speech_endpoint.whisper.checkpoint import load_checkpoint
from speech_endpoint.whisper.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer(load_checkpoint(str(MODELS / "whisper-base")))


FOUR_WINDOWS = [window((first, first + 5.0)) for first in (0.0, 10.0, 20.0, 30.0)]
FOUR_WORDS = ["one", "two", "three", "four"]


def test_nothing_leaves_before_an_unfinished_earlier_window(tokenizer: Tokenizer) -> None:
    decoder = recording(tokenizer, *FOUR_WINDOWS)
    requests = decoder.requests()
    results = [
        covered(tokenizer, request, word)
        for request, word in zip(requests, FOUR_WORDS, strict=True)
    ]
    assert [request.start_s for request in requests] == [0.0, 10.0, 20.0, 30.0]
    for late in (3, 1, 2):
        assert decoder.on_result(results[late]) == []
        assert decoder.take_final() == []
    decoder.on_result(results[0])
    assert said(decoder.take_final()) == FOUR_WORDS
    assert decoder.take_final() == []


def test_the_last_segment_waits_for_what_follows_it(tokenizer: Tokenizer) -> None:
    """Its last word's time depends on the next word."""
    decoder = recording(tokenizer, *FOUR_WINDOWS[:2])
    first, second = decoder.requests()
    sentences = [spoken("one", 0.0, 2.5), spoken("more", 2.5, 5.0)]
    decoder.on_result(decoded(first, written(tokenizer, sentences)))
    assert said(decoder.take_final()) == ["one"]
    decoder.on_result(covered(tokenizer, second, "two"))
    assert said(decoder.take_final()) == ["more", "two"]


def test_a_segments_last_word_ends_where_the_next_segment_begins(tokenizer: Tokenizer) -> None:
    """A word without length gets one, as far as there is room."""
    decoder = recording(tokenizer, FOUR_WINDOWS[0])
    (request,) = decoder.requests()
    sentences = [spoken("one", 0.0, 2.0), (2.0, " two", 2.0), (2.0, " three", 2.04)]
    tokens = written(tokenizer, [*sentences, spoken("four", 2.04, 5.0)])
    decoder.on_result(decoded(request, tokens))
    _, two, three, _ = decoder.take_final()
    assert (two.start, three.start) == (pytest.approx(2.0), pytest.approx(2.02))
    assert two.end == pytest.approx(2.02)


def test_words_lie_where_their_window_lies(tokenizer: Tokenizer) -> None:
    decoder = recording(tokenizer, window((10.0, 14.0), (20.0, 24.0)))
    (request,) = decoder.requests()
    assert duration_s(request) == 8.0
    sentences = [spoken("one", 0.0, 4.0), spoken("two", 4.0, 8.0)]
    decoder.on_result(decoded(request, written(tokenizer, sentences)))
    one, two = decoder.take_final()
    assert 10.0 <= one.start < 10.5 and one.end == pytest.approx(14.0)
    assert 20.0 <= two.start < 20.5 and two.end == pytest.approx(24.0)


def test_speech_that_no_word_covers_is_decoded_again_between_its_neighbours(
    tokenizer: Tokenizer,
) -> None:
    decoder = recording(tokenizer, window((0.0, 10.0)))
    (request,) = decoder.requests()
    # The half second before the end is too little to be asked for.
    sentences = [spoken("one", 0.0, 4.0), spoken("three", 7.0, 9.5)]
    (again,) = decoder.on_result(decoded(request, written(tokenizer, sentences)))
    assert request.fallback and not again.fallback
    # To the first word after it, which begins a little after its sentence's timestamp.
    assert again.start_s == pytest.approx(4.0) and 3.0 <= duration_s(again) < 3.5
    assert decoder.take_final() == []
    assert decoder.on_result(covered(tokenizer, again, "two")) == []
    found = decoder.take_final()
    assert said(found) == ["one", "two", "three"]
    assert 4.0 <= found[1].start < found[1].end <= found[2].start
    assert decoder.warnings == []


def test_a_segment_is_split_around_what_a_second_pass_finds_within_it(
    tokenizer: Tokenizer,
) -> None:
    """A word stretched over a lost sentence covers no more than its first second."""
    decoder = recording(tokenizer, window((0.0, 7.0)))
    (request,) = decoder.requests()
    tokens = written(tokenizer, [(0.0, " one two three four five", 7.0)])
    # "three" lasts from 0.8 s to 6 s.
    alignment = alignment_with([0, 0, 20, 40, 300, 320, 350, 350])
    (again,) = decoder.on_result(decoded(request, tokens, alignment=alignment))
    assert (again.start_s, duration_s(again)) == (pytest.approx(1.8), pytest.approx(4.2))
    decoder.on_result(covered(tokenizer, again, "lost"))
    before, found, after = decoder.take_final()
    assert (before.text, after.text) == (" one two three", " four five")
    assert said([found]) == ["lost"]
    assert before.start < 1.8 <= found.start and found.end <= after.start == pytest.approx(6.0)


def test_a_second_pass_that_is_not_sure_gives_neither_words_nor_warning(
    tokenizer: Tokenizer,
) -> None:
    decoder = recording(tokenizer, window((0.0, 10.0)))
    (request,) = decoder.requests()
    (again,) = decoder.on_result(decoded(request, written(tokenizer, [spoken("one", 0.0, 4.0)])))
    doubtful = replace(covered(tokenizer, again, "two"), quality=UNLIKELY)
    assert decoder.on_result(doubtful) == []
    assert said(decoder.take_final()) == ["one"]
    assert decoder.warnings == []


def test_uncovered_speech_is_decoded_again_so_often_and_no_more(tokenizer: Tokenizer) -> None:
    decoder = recording(tokenizer, window((0.0, 10.0)))
    requests, starts = decoder.requests(), []
    while requests:
        (request,) = requests
        starts.append(request.start_s)
        requests = decoder.on_result(decoded(request, written(tokenizer, [(0.0, " one", 0.5)])))
    assert starts == pytest.approx([n * 0.5 for n in range(1 + MAX_EXTRA_PASSES)])
    assert said(decoder.take_final()) == ["one"] * len(starts)


def test_a_long_window_of_low_confidence_is_split_and_what_stays_unclear_is_told(
    tokenizer: Tokenizer,
) -> None:
    decoder = recording(tokenizer, window((0.0, 8.0), (20.0, 28.0)))
    (request,) = decoder.requests()
    halves = decoder.on_result(replace(covered(tokenizer, request, "bad"), quality=UNLIKELY))
    assert [(half.start_s, duration_s(half)) for half in halves] == [(0.0, 8.0), (20.0, 8.0)]
    assert decoder.warnings == [] and decoder.take_final() == []
    decoder.on_result(covered(tokenizer, halves[0], "clear"))
    unclear = replace(covered(tokenizer, halves[1], "unclear"), quality=UNLIKELY)
    assert decoder.on_result(unclear) == []
    assert said(decoder.take_final()) == ["clear"]
    (warning,) = decoder.warnings
    assert "unclear" in warning and "20.0 s" in warning


def test_an_unclear_window_without_any_words_is_not_worth_a_warning(tokenizer: Tokenizer) -> None:
    decoder = recording(tokenizer, window((0.0, 10.0)))
    (request,) = decoder.requests()
    silent = replace(UNLIKELY, no_speech_probability=0.9)
    assert decoder.on_result(decoded(request, [], quality=silent)) == []
    assert decoder.warnings == [] and decoder.take_final() == []


@pytest.mark.parametrize("fallback", [True, False])
def test_a_window_of_two_languages_is_decoded_in_parts(
    tokenizer: Tokenizer, fallback: bool
) -> None:
    decoder = recording(tokenizer, window((0.0, 8.0), (20.0, 28.0)))
    (request,) = decoder.requests()
    parts = decoder.on_result(MultilingualWindow(replace(request, fallback=fallback)))
    assert [(part.start_s, duration_s(part)) for part in parts] == [(0.0, 8.0), (20.0, 8.0)]
    assert [part.fallback for part in parts] == [fallback, fallback]
    english = written(tokenizer, [spoken("yes", 0.0, 7.5)])
    german = written(tokenizer, [spoken("ja", 0.0, 8.0)])
    decoder.on_result(decoded(parts[1], german, language="de"))
    decoder.on_result(decoded(parts[0], english, language="en"))
    found = decoder.take_final()
    assert said(found) == ["yes", "ja"]
    assert [segment.language for segment in found] == ["en", "de"]
    assert decoder.language == "de"
    assert decoder.warnings == []


def test_a_text_that_repeated_itself_is_kept_as_far_as_it_goes_and_told(
    tokenizer: Tokenizer,
) -> None:
    decoder = recording(tokenizer, window((10.0, 15.0)))
    (request,) = decoder.requests()
    repeating = replace(GOOD, repeats_itself=True)
    decoder.on_result(replace(covered(tokenizer, request, "thanks"), quality=repeating))
    assert said(decoder.take_final()) == ["thanks"]
    (warning,) = decoder.warnings
    assert "repeated itself" in warning and "10.0 s" in warning


def test_a_window_that_echoes_the_prompt_is_decoded_once_more_without_it(
    tokenizer: Tokenizer,
) -> None:
    speech = recording(tokenizer, window((10.0, 15.0))).speech
    prompt = tuple(tokenizer.encode(" Glossary: Grafana, Siobhan, Zyrtec."))
    decoder = RecordingDecoder(
        speech,
        [window((10.0, 15.0))],
        30.0,
        RequestGroup(DecodeOptions(prompt_tokens=prompt)),
        tokenizer,
    )
    (request,) = decoder.requests()
    assert request.group.options.prompt_tokens == prompt
    echo = written(tokenizer, [(0.0, " Grafana, Siobhan, Zyrtec.", 5.0)])
    (again,) = decoder.on_result(decoded(request, echo))
    assert again.group.options.prompt_tokens == ()
    assert (again.start_s, duration_s(again)) == (request.start_s, duration_s(request))
    assert decoder.take_final() == []
    decoder.on_result(covered(tokenizer, again, "hello"))
    assert said(decoder.take_final()) == ["hello"]


def test_warnings_of_the_request_are_kept(tokenizer: Tokenizer) -> None:
    speech = DetectedSpeech(np.zeros(0, np.float32), np.zeros(0, np.float32), [])
    decoder = RecordingDecoder(speech, [], 30.0, RequestGroup(), tokenizer, ["prompt: too long"])
    assert decoder.requests() == [] and decoder.take_final() == []
    assert decoder.warnings == ["prompt: too long"] and decoder.language is None
