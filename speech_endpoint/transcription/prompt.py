"""A caller's prompt as tokens. Pure but for the tokenizer."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from speech_endpoint.whisper.repetition import repetition_start
from speech_endpoint.whisper.tokenizer import Tokenizer

# Half of Whisper's text context (448) is left for the text: the last 448 / 2 - 1 tokens of a prompt
# are kept (openai/whisper).
MAX_PROMPT_TOKENS = 223
# Of a longer prompt only the end is tokenised: 5 MB took a minute and 0.7 GB. Whisper's longest
# token has 33 characters, so that this holds more tokens than are kept, whatever the text.
MAX_PROMPT_CHARACTERS = 16_384

# An echo: a text that is nothing but a part of the prompt, of so many words, or that holds so many
# of the prompt's words in a row.
MIN_WHOLE_ECHO_WORDS = 2
MIN_ECHO_WORDS = 5

GLOSSARY = " Glossary:"


def encode_prompt(
    prompt: str, tokenizer: Tokenizer, keywords: Sequence[str] = ()
) -> tuple[list[int], list[str]]:
    """The tokens of a prompt, none of them special, and warnings about what is left out.

    Args:
        prompt: the last of it counts; it gets the room that the glossary leaves.
        tokenizer: the model's.
        keywords: for a glossary in front of it; the first count.
    """
    glossary, warnings = _encode_glossary(keywords, tokenizer)
    text, more = _encode_text(prompt.strip(), tokenizer, MAX_PROMPT_TOKENS - len(glossary))
    return glossary + text, warnings + more


def _encode_glossary(keywords: Sequence[str], tokenizer: Tokenizer) -> tuple[list[int], list[str]]:
    entries = [text_tokens(f" {word},", tokenizer) for word in keywords]
    opening = len(text_tokens(GLOSSARY, tokenizer))
    lengths = itertools.accumulate(map(len, entries), initial=opening)
    n_used = sum(length <= MAX_PROMPT_TOKENS for length in lengths) - 1
    warnings = []
    if n_used < len(keywords):
        warnings = [
            f"keywords: {n_used} of {len(keywords)} fit in {MAX_PROMPT_TOKENS} tokens; "
            "the others are left out"
        ]
    if not n_used:
        return [], warnings
    tokens = text_tokens(f"{GLOSSARY} {', '.join(keywords[:n_used])}.", tokenizer)
    tokens, more = _said_once("keywords", tokens)
    return tokens, warnings + more


def _encode_text(text: str, tokenizer: Tokenizer, max_tokens: int) -> tuple[list[int], list[str]]:
    if not text:
        return [], []
    if len(text) <= MAX_PROMPT_CHARACTERS:
        tokens = text_tokens(" " + text, tokenizer)
        length = f"{len(tokens)} tokens; only its last {max_tokens} are used"
    else:
        tokens = text_tokens(text[-MAX_PROMPT_CHARACTERS:], tokenizer)
        length = f"{len(text):,} characters; only its last {max_tokens} tokens are used"
    warnings = [f"prompt: {length}"] if len(tokens) > max_tokens else []
    tokens, more = _said_once("prompt", tokens[max(0, len(tokens) - max_tokens) :])
    return tokens, warnings + more


def _said_once(field: str, tokens: list[int]) -> tuple[list[int], list[str]]:
    """Cut off repetition: the model would carry on with it, whatever the recording says."""
    start = repetition_start(tokens)
    if start is None:
        return tokens, []
    return tokens[:start], [
        f"{field}: it repeats itself; what is said again and again is used once"
    ]


def text_tokens(text: str, tokenizer: Tokenizer) -> list[int]:
    """`text` as tokens of text: a special token that it spells is spelled, too, not obeyed."""
    tokens = tokenizer.encode(text)
    if all(map(tokenizer.is_text, tokens)):
        return tokens
    spelling = {token: name for name, token in tokenizer.ids.items()}
    spelled: list[int] = []
    for token in tokens:
        if tokenizer.is_text(token):
            spelled.append(token)
        else:
            spelled += (
                part
                for character in spelling[token]
                for part in tokenizer.encode(character)
                if tokenizer.is_text(part)
            )
    return spelled


def echoes_prompt(text: str, prompt: str) -> bool:
    """Whether a text may come from the prompt rather than from the audio."""
    words, prompt_words = (re.findall(r"\w+", part.casefold()) for part in (text, prompt))
    matcher = SequenceMatcher(None, words, prompt_words, autojunk=False)
    longest = matcher.find_longest_match().size
    is_whole = longest == len(words) and longest >= MIN_WHOLE_ECHO_WORDS
    return is_whole or longest >= MIN_ECHO_WORDS
