"""Token ids to words, and from one vocabulary to another."""

from __future__ import annotations

import unicodedata

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


@pytest.fixture(scope="module", params=["whisper-base", "whisper-tiny.en"])
def either(request) -> Tokenizer:
    """The multilingual tokenizer, and the English one."""
    return Tokenizer(load_checkpoint(str(MODELS / request.param)))


@settings(deadline=None)
@given(tokens=st.lists(st.integers(0, 255) | st.integers(0, 50255), max_size=40))
def test_words_hold_every_token_once_and_join_to_the_text(
    either: Tokenizer, tokens: list[int]
) -> None:
    words = either.split_to_words(tokens)
    assert [token for word in words for token in word] == tokens
    assert "".join(either.decode(word) for word in words) == either.decode(tokens)


@settings(deadline=None)
@given(text=st.text(st.sampled_from("ab é15.我的コーャ。กำเ้ๆក្តមန်းनमस्तेरَب"), max_size=30))
def test_no_word_of_any_script_begins_with_a_mark(either: Tokenizer, text: str) -> None:
    words = either.split_to_words(either.encode(text))
    assert "".join(either.decode(word) for word in words) == text
    for word in words[1:]:
        assert unicodedata.category(either.decode(word).lstrip()[:1] or " ")[0] != "M"


@settings(deadline=None)
@given(
    st.sampled_from([" Hello my friend, how are you", "我们今天去北京的学校", "กรุงเทพมหานคร"]),
    st.integers(0, 40),
    st.sampled_from([b"\xff", b"\xe6", b"\x80", b"\xe4\xb8"]),
)
def test_an_invalid_byte_spoils_one_word(
    tokenizer: Tokenizer, text: str, place: int, invalid: bytes
) -> None:
    by_bytes = {spelled: token for token, spelled in tokenizer.token_bytes.items()}
    tokens = [by_bytes[bytes([byte])] for byte in text.encode()]
    # Between two characters.
    at = len(text[: place % len(text)].encode())
    spoilt = [*tokens[:at], *(by_bytes[bytes([byte])] for byte in invalid), *tokens[at:]]
    words = [tokenizer.decode(word) for word in tokenizer.split_to_words(spoilt)]
    whole = [tokenizer.decode(word) for word in tokenizer.split_to_words(tokens)]
    assert "".join(words).replace("\ufffd", "") == text
    assert len([word for word in words if "\ufffd" in word]) == 1
    assert len(words) <= len(whole) + 2
    assert len([word for word in words if word in whole]) >= len(whole) - 1


def test_words_keep_their_punctuation(checkpoint, tokenizer: Tokenizer) -> None:
    tokens = checkpoint.vocabulary.encode(" “Well,” he said (quietly): isn't it 3.5 naïve?")
    words = [tokenizer.decode(word) for word in tokenizer.split_to_words(tokens)]
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
