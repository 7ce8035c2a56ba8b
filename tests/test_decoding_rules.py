"""Rules of decoding, against transformers' own implementation, and the parts that need no model."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import MODELS

from speech_endpoint.whisper.checkpoint import load_checkpoint
from speech_endpoint.whisper.logit_rules import DecodingRules, allowed_after
from speech_endpoint.whisper.sequence import loop_start
from speech_endpoint.whisper.tokenizer import Vocabulary, token_map

pytestmark = pytest.mark.core


@pytest.fixture(scope="module")
def checkpoint():
    return load_checkpoint(str(MODELS / "whisper-base"))


@pytest.fixture(scope="module")
def vocabulary(checkpoint) -> Vocabulary:
    return Vocabulary(checkpoint)


def test_choices_are_those_of_transformers(checkpoint, vocabulary: Vocabulary) -> None:
    from transformers.generation.logits_process import (
        SuppressTokensAtBeginLogitsProcessor,
        SuppressTokensLogitsProcessor,
        WhisperTimeStampLogitsProcessor,
    )

    rules = DecodingRules(vocabulary, torch.device("cpu"))
    generation = checkpoint.generation_config
    theirs = [
        SuppressTokensLogitsProcessor(generation.suppress_tokens, device="cpu"),
        SuppressTokensAtBeginLogitsProcessor(generation.begin_suppress_tokens, 3, device="cpu"),
        WhisperTimeStampLogitsProcessor(generation, begin_index=3),
    ]
    prompt = vocabulary.prompt("en", "transcribe")
    stamp = vocabulary.first_timestamp
    histories = [
        [],
        [stamp],
        [stamp, 400],
        [stamp, 400, stamp + 50],
        [stamp, 400, stamp + 50, stamp + 50],
        [stamp + 9, 4, 5],
    ]
    generator = torch.Generator().manual_seed(0)
    for history in histories:
        for favour in (0.0, 8.0):
            logits = torch.randn(1, vocabulary.size, generator=generator) * 3
            logits[:, stamp:] += favour
            ids = torch.tensor([[*prompt, *history]])
            expected = logits.clone()
            for processor in theirs:
                expected = processor(ids, expected)
            choice = rules.choose(logits.clone(), [allowed_after(history, vocabulary)])
            assert choice.tokens.item() == expected.argmax().item(), (history, favour)


@settings(deadline=None)
@given(st.lists(st.integers(0, 50256), max_size=40))
def test_words_hold_every_token_once(vocabulary: Vocabulary, tokens: list[int]) -> None:
    for language in ("en", "ja"):
        words = vocabulary.split_words(tokens, language)
        assert [token for word in words for token in word] == tokens


def test_words_keep_their_punctuation(checkpoint, vocabulary: Vocabulary) -> None:
    tokens = checkpoint.encode_text(" “Well,” he said (quietly): isn't it 3.5 naïve?")
    words = [vocabulary.text(word) for word in vocabulary.split_words(tokens, "en")]
    assert "".join(words) == " “Well,” he said (quietly): isn't it 3.5 naïve?"
    assert " isn't" in words and " he" in words and all(word.startswith(" ") for word in words)


def test_vocabularies_meet_in_their_bytes(vocabulary: Vocabulary) -> None:
    english = Vocabulary(load_checkpoint(str(MODELS / "whisper-tiny.en")))
    mapped = token_map(english, vocabulary)
    assert len(mapped) > 30_000
    for source, target in list(mapped.items())[::997]:
        if source < english.end:
            assert english.token_bytes[source] == vocabulary.token_bytes[target]
    assert mapped[english.end] == vocabulary.end
    assert mapped[english.first_timestamp + 7] == vocabulary.first_timestamp + 7


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=12, unique=True), st.integers(0, 20))
def test_a_loop_is_found_and_its_first_time_kept(phrase: list[int], lead: int) -> None:
    before = [2000 + n for n in range(lead)]
    start = loop_start([*before, *phrase * 24])
    assert start == lead + len(phrase)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=200, unique=True))
def test_text_that_does_not_repeat_has_no_loop(tokens: list[int]) -> None:
    assert loop_start(tokens) is None
    assert loop_start(tokens[:3] * 2) is None
