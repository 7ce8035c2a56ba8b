"""Token ids to words, and from one vocabulary to another."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import MODELS

from speech_endpoint.whisper.checkpoint import load_checkpoint
from speech_endpoint.whisper.tokenizer import Tokenizer, token_map

pytestmark = pytest.mark.core


@pytest.fixture(scope="module")
def checkpoint():
    return load_checkpoint(str(MODELS / "whisper-base"))


@pytest.fixture(scope="module")
def tokenizer(checkpoint) -> Tokenizer:
    return Tokenizer(checkpoint)


@settings(deadline=None)
@given(st.lists(st.integers(0, 50256), max_size=40))
def test_words_hold_every_token_once(tokenizer: Tokenizer, tokens: list[int]) -> None:
    for language in ("en", "ja"):
        words = tokenizer.split_to_words(tokens, language)
        assert [token for word in words for token in word] == tokens


def test_words_keep_their_punctuation(checkpoint, tokenizer: Tokenizer) -> None:
    tokens = checkpoint.vocabulary.encode(" “Well,” he said (quietly): isn't it 3.5 naïve?")
    words = [tokenizer.decode(word) for word in tokenizer.split_to_words(tokens, "en")]
    assert "".join(words) == " “Well,” he said (quietly): isn't it 3.5 naïve?"
    assert " isn't" in words and " he" in words and all(word.startswith(" ") for word in words)


def test_vocabularies_meet_in_their_bytes(tokenizer: Tokenizer) -> None:
    english = Tokenizer(load_checkpoint(str(MODELS / "whisper-tiny.en")))
    mapped = token_map(english, tokenizer)
    assert len(mapped) > 30_000
    for source, target in list(mapped.items())[::997]:
        if source < english.eot:
            assert english.token_bytes[source] == tokenizer.token_bytes[target]
    assert mapped[english.eot] == tokenizer.eot
    assert mapped[english.first_timestamp + 7] == tokenizer.first_timestamp + 7
