"""A caller's prompt as tokens. Pure but for the tokenizer."""

from __future__ import annotations

import re
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


def encode_prompt(prompt: str, tokenizer: Tokenizer) -> tuple[list[int], list[str]]:
    """The tokens of a prompt, none of them special, and warnings about what is left out."""
    text = prompt.strip()
    if not text:
        return [], []
    if len(text) <= MAX_PROMPT_CHARACTERS:
        tokens = text_tokens(" " + text, tokenizer)
        length = f"{len(tokens)} tokens; only its last {MAX_PROMPT_TOKENS} are used"
    else:
        tokens = text_tokens(text[-MAX_PROMPT_CHARACTERS:], tokenizer)
        length = f"{len(text):,} characters; only its last {MAX_PROMPT_TOKENS} tokens are used"
    warnings = [f"prompt: {length}"] if len(tokens) > MAX_PROMPT_TOKENS else []
    tokens = tokens[-MAX_PROMPT_TOKENS:]
    # The model would carry on with it, whatever is said in the recording.
    start = repetition_start(tokens)
    if start is not None:
        warnings.append("prompt: it repeats itself; what is said again and again is used once")
    return tokens[:start], warnings


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
