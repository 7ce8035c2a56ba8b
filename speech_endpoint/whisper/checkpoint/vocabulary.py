"""The tokens of a checkpoint, by the tokenizers library alone.

transformers 4 and 5 do not read each other's tokenizer_config.json; what an id means stands in
tokenizer.json, or in vocab.json and merges.txt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from speech_endpoint.whisper.checkpoint.files import UnusableCheckpoint, read_json, refuse_pointer

TIMESTAMP = re.compile(r"<\|\d+\.\d\d\|>")
SPECIAL = re.compile(r"<\|.*\|>")


@dataclass(frozen=True)
class Vocabulary:
    """What token ids mean."""

    ids: Mapping[str, int]
    """By token, in the spelling of its file."""
    added_words: Mapping[int, str]
    """Tokens that a fine-tune has added to Whisper's, as text, not spelled by bytes."""
    encode: Callable[[str], list[int]]
    """Text to token ids, no initial ones among them."""


def read_vocabulary(directory: Path, size: int) -> Vocabulary:
    """The vocabulary of a model that has embeddings for the ids below `size`.

    Raises:
        UnusableCheckpoint: files are missing or damaged.
    """
    tokenizer = _from_tokenizer_json(directory) or _from_vocab_and_merges(directory)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ids = {token: i for token, i in tokenizer.get_vocab(True).items() if i < size}
    added_words = {
        i: token.content
        for i, token in tokenizer.get_added_tokens_decoder().items()
        if i < size and not token.special and not SPECIAL.fullmatch(token.content)
    }

    def encode(text: str) -> list[int]:
        encoded = tokenizer.encode(text, add_special_tokens=False).ids
        return [token for token in encoded if token < size]

    return Vocabulary(ids, added_words, encode)


def _from_tokenizer_json(directory: Path) -> Any:
    file = directory / "tokenizer.json"
    if not file.is_file():
        return None
    refuse_pointer(file)
    try:
        return tokenizers.Tokenizer.from_file(str(file))
    # The library raises nothing more specific.
    except Exception as error:
        cause = (str(error).splitlines() or [""])[0][:80]
        raise UnusableCheckpoint(
            f"{file.name} is damaged ({cause}); copy it from the base model"
        ) from None


def _from_vocab_and_merges(directory: Path) -> Any:
    """The tokenizer of older checkpoints, which have no tokenizer.json."""
    vocabulary, merges = directory / "vocab.json", directory / "merges.txt"
    if not (vocabulary.is_file() and merges.is_file()):
        raise UnusableCheckpoint(
            "the tokenizer is missing; copy tokenizer.json (or vocab.json, merges.txt and"
            " added_tokens.json) from the base model"
        )
    refuse_pointer(merges)
    try:
        tokenizer = tokenizers.Tokenizer(BPE.from_file(str(vocabulary), str(merges)))
    except Exception as error:
        cause = (str(error).splitlines() or [""])[0][:80]
        raise UnusableCheckpoint(
            f"vocab.json or merges.txt is damaged ({cause}); copy both from the base model"
        ) from None
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    for token, i in sorted(_added_tokens(directory).items(), key=lambda item: item[1]):
        is_special = bool(SPECIAL.fullmatch(token)) and not TIMESTAMP.fullmatch(token)
        tokenizer.add_tokens([AddedToken(token, normalized=False, special=is_special)])
        if tokenizer.token_to_id(token) != i:
            raise UnusableCheckpoint(
                f"added_tokens.json does not continue vocab.json at {token[:40]!r}; copy"
                " tokenizer.json from the base model"
            )
    return tokenizer


def _added_tokens(directory: Path) -> dict[str, int]:
    """Ids by token, of whichever of the two files has them."""
    listed = read_json(directory / "tokenizer_config.json").get("added_tokens_decoder") or {}
    try:
        added = {str(token["content"]): int(i) for i, token in listed.items()}
        added |= {
            str(token): int(i) for token, i in read_json(directory / "added_tokens.json").items()
        }
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UnusableCheckpoint(
            "added_tokens.json or tokenizer_config.json lists no tokens with their ids; copy both"
            " from the base model"
        ) from None
    return added
