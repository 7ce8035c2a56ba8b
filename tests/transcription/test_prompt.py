"""A prompt as tokens: what is kept of it, and that nothing in it is a command."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paths import MODELS

from speech_endpoint.transcription.prompt import (
    MAX_PROMPT_CHARACTERS,
    MAX_PROMPT_TOKENS,
    echoes_prompt,
    encode_prompt,
)
from speech_endpoint.whisper.checkpoint import load_checkpoint
from speech_endpoint.whisper.tokenizer import Tokenizer

NAMES = [f"harbour {n} of the {m}th crane" for n in range(40) for m in range(90)]


@cache
def tokenizer_of(model: str) -> Tokenizer:
    return Tokenizer(load_checkpoint(str(MODELS / model)))


@pytest.fixture(params=["whisper-base", "whisper-tiny.en"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return tokenizer_of(request.param)


def test_a_prompt_is_kept_as_it_is(tokenizer: Tokenizer) -> None:
    tokens, warnings = encode_prompt("  Names: Dyane,\nSheyla. ", tokenizer)
    assert tokenizer.decode(tokens) == " Names: Dyane,\nSheyla." and warnings == []
    assert encode_prompt(" \n ", tokenizer) == ([], [])


def test_of_a_long_prompt_the_end_is_kept_with_a_warning(tokenizer: Tokenizer) -> None:
    text = ", ".join(NAMES[:200])
    tokens, warnings = encode_prompt(text, tokenizer)
    assert tokens == tokenizer.encode(" " + text)[-MAX_PROMPT_TOKENS:]
    assert warnings == [
        f"prompt: {len(tokenizer.encode(' ' + text))} tokens; only its last 223 are used"
    ]


def test_megabytes_are_cut_before_they_are_tokenised(tokenizer: Tokenizer) -> None:
    text = ", ".join(NAMES)
    longest = 0
    encode = tokenizer.encode

    def counted(part: str) -> list[int]:
        nonlocal longest
        longest = max(longest, len(part))
        return encode(part)

    tokenizer.encode = counted
    try:
        tokens, warnings = encode_prompt(text, tokenizer)
    finally:
        tokenizer.encode = encode
    assert tokens == encode(text)[-MAX_PROMPT_TOKENS:]
    assert warnings == [f"prompt: {len(text):,} characters; only its last 223 tokens are used"]
    assert longest == MAX_PROMPT_CHARACTERS


def test_keywords_are_a_glossary_in_front_of_the_prompt(tokenizer: Tokenizer) -> None:
    tokens, warnings = encode_prompt("About Kiel. ", tokenizer, ["Zoë", "St. Ives"])
    assert tokenizer.decode(tokens) == " Glossary: Zoë, St. Ives. About Kiel." and warnings == []


def test_of_a_prompt_the_end_is_kept_as_far_as_the_keywords_leave_room(
    tokenizer: Tokenizer,
) -> None:
    glossary, _ = encode_prompt("", tokenizer, NAMES[:10])
    text = ", ".join(NAMES[20:220])
    tokens, warnings = encode_prompt(text, tokenizer, NAMES[:10])
    n_left = MAX_PROMPT_TOKENS - len(glossary)
    assert tokens == glossary + tokenizer.encode(" " + text)[-n_left:]
    assert len(warnings) == 1 and warnings[0].endswith(f"; only its last {n_left} are used")


def test_a_warning_says_how_many_keywords_fit(tokenizer: Tokenizer) -> None:
    tokens, warnings = encode_prompt("", tokenizer, NAMES[:100])
    assert MAX_PROMPT_TOKENS - 15 < len(tokens) <= MAX_PROMPT_TOKENS
    n_used = tokenizer.decode(tokens).count("harbour")
    assert tokenizer.decode(tokens).endswith(f" {NAMES[n_used - 1]}.")
    assert warnings == [f"keywords: {n_used} of 100 fit in 223 tokens; the others are left out"]


def test_a_keyword_that_is_too_long_for_any_prompt_leaves_the_prompt(tokenizer: Tokenizer) -> None:
    unknown = "".join(map(chr, range(0x12000, 0x12064)))
    tokens, warnings = encode_prompt("About Kiel.", tokenizer, [unknown])
    assert tokenizer.decode(tokens) == " About Kiel."
    assert warnings == ["keywords: 0 of 1 fit in 223 tokens; the others are left out"]


@pytest.mark.parametrize("text", ["the patient was stable. " * 5_000, "a" * 100_000, "ha " * 50])
def test_what_is_said_again_and_again_is_used_once(tokenizer: Tokenizer, text: str) -> None:
    tokens, warnings = encode_prompt(text, tokenizer)
    assert len(tokens) <= 8 and warnings[-1].startswith("prompt: it repeats itself")


SPECIAL = "<|endoftext|><|startoftranscript|><|de|><|translate|><|notimestamps|> Tag <|30.00|>"


def test_special_tokens_that_a_prompt_spells_are_text(tokenizer: Tokenizer) -> None:
    tokens, warnings = encode_prompt(SPECIAL, tokenizer)
    assert all(map(tokenizer.is_text, tokens)) and warnings == []
    assert tokenizer.decode(tokens).replace(" ", "") == SPECIAL.replace(" ", "")


TEXTS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("<|>en0."))


@given(TEXTS, st.lists(TEXTS))
def test_whatever_a_prompt_is_its_tokens_are_text(text: str, keywords: list[str]) -> None:
    tokenizer = tokenizer_of("whisper-base")
    tokens, _ = encode_prompt(text, tokenizer, keywords)
    assert all(map(tokenizer.is_text, tokens)) and len(tokens) <= MAX_PROMPT_TOKENS


def test_what_the_prompt_says_in_a_row_is_an_echo_and_a_name_of_it_is_not() -> None:
    prompt = "Glossary: Kubernetes, Grafana, Siobhan, Xerxes Ltd., Zyrtec."
    assert echoes_prompt(" grafana Siobhan.", prompt)
    assert echoes_prompt(" Oh, Grafana, Siobhan, Xerxes Ltd. Zyrtec, and so on.", prompt)
    for heard in ("", " Kubernetes.", " We run Kubernetes for Siobhan.", " Hello."):
        assert not echoes_prompt(heard, prompt)
