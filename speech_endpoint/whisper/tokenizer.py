"""What Whisper's token ids mean: special tokens, timestamps, bytes of text, words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from speech_endpoint.whisper.checkpoint import Checkpoint
from speech_endpoint.whisper.model.features import AUDIO_FRAME_S

# openai/whisper tokenizer.py: punctuation that belongs to the word after it, or before it.
PREPENDED_PUNCTUATION = "\"'“¿([{-"
APPENDED_PUNCTUATION = "\"'.。,，!！?？:：”)]}、"
# Written without spaces: words are single characters (openai/whisper tokenizer.py).
UNSPACED_LANGUAGES = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
# The end of text in GPT-2's own vocabulary, which the English models have, is one less.
MULTILINGUAL_EOT = 50_257


def byte_of_character() -> dict[str, int]:
    """GPT-2's printable stand-ins for bytes (Radford et al. 2019, encoder.py), reversed."""
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    others = [byte for byte in range(256) if byte not in set(printable)]
    stand_ins = {chr(256 + n): byte for n, byte in enumerate(others)}
    return {chr(byte): byte for byte in printable} | stand_ins


class Tokenizer:
    """The token ids of one checkpoint. Special tokens bear openai/whisper's names."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        ids = checkpoint.token_ids
        # transformers declares none of Whisper's own attributes.
        rules: Any = checkpoint.generation_config
        self.ids = ids
        self.encode = checkpoint.encode_text
        self.vocabulary_size: int = checkpoint.config.vocab_size
        self.eot: int = ids["<|endoftext|>"]
        self.sot: int = ids["<|startoftranscript|>"]
        self.sot_prev: int = ids["<|startofprev|>"]
        self.no_timestamps: int = ids["<|notimestamps|>"]
        self.no_speech: int | None = ids.get("<|nospeech|>", ids.get("<|nocaptions|>"))
        self.first_timestamp: int = self.no_timestamps + 1
        self.multilingual = bool(getattr(rules, "is_multilingual", self.eot == MULTILINGUAL_EOT))
        self.languages: dict[str, int] = {}
        """Ids by code."""
        self.tasks: dict[str, int] = {}
        if self.multilingual:
            self.languages = {name[2:-2]: token for name, token in rules.lang_to_id.items()}
            self.tasks = dict(getattr(rules, "task_to_id", None) or {})
        self.suppress_tokens = sorted({*(rules.suppress_tokens or []), self.no_timestamps})
        self.begin_suppress_tokens: list[int] = list(rules.begin_suppress_tokens or [])
        self.max_initial_timestamp: int | None = getattr(rules, "max_initial_timestamp_index", None)

    @cached_property
    def token_bytes(self) -> dict[int, bytes]:
        """The bytes of every text token."""
        table = byte_of_character()
        return {
            i: bytes(table[c] for c in token)
            for token, i in self.ids.items()
            if i < self.eot and all(c in table for c in token)
        }

    def is_timestamp(self, token: int) -> bool:
        return token >= self.first_timestamp

    def is_text(self, token: int) -> bool:
        return token < self.eot

    def timestamp_s(self, token: int) -> float:
        """The time that a timestamp token means, seconds from the window's start."""
        return (token - self.first_timestamp) * AUDIO_FRAME_S

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of the text tokens among `tokens`."""
        spelled = b"".join(self.token_bytes.get(token, b"") for token in tokens)
        return spelled.decode("utf-8", errors="replace")

    def initial_tokens(self, language: str, task: str, prompt: Sequence[int] = ()) -> list[int]:
        """What the decoder is given before it writes: the prompt, then the sot sequence.

        Args:
            language: a code.
            task: "transcribe" or "translate".
            prompt: tokens of text that comes before.
        """
        tokens = self.prompt_prefix(prompt)
        if self.multilingual:
            tokens += [self.languages[language], self.tasks[task]]
        return tokens

    def prompt_prefix(self, prompt: Sequence[int]) -> list[int]:
        """The initial tokens up to the start of transcript, after which a language is told."""
        return [self.sot_prev, *prompt, self.sot] if prompt else [self.sot]

    def split_to_words(self, tokens: Sequence[int], language: str) -> list[list[int]]:
        """Group text tokens to words, each with its leading space and its punctuation."""
        characters = self._split_to_characters(tokens)
        if language in UNSPACED_LANGUAGES:
            return self._merge_punctuation(characters)
        words: list[list[int]] = []
        for group in characters:
            if not words or self.decode(group).startswith(" "):
                words.append(list(group))
            else:
                words[-1].extend(group)
        return self._merge_punctuation(words)

    def _split_to_characters(self, tokens: Sequence[int]) -> list[list[int]]:
        """Join tokens to whole characters: one of several bytes may be spread over tokens."""
        groups: list[list[int]] = []
        pending: list[int] = []
        for token in tokens:
            pending.append(token)
            try:
                b"".join(self.token_bytes.get(t, b"") for t in pending).decode("utf-8")
            except UnicodeDecodeError:
                continue
            groups.append(pending)
            pending = []
        return [*groups, pending] if pending else groups

    def _merge_punctuation(self, words: list[list[int]]) -> list[list[int]]:
        merged: list[list[int]] = []
        joins_next = False
        for word in words:
            text = self.decode(word)
            if merged and (joins_next or _is_appended(text)):
                merged[-1].extend(word)
            else:
                merged.append(list(word))
            is_prepended = text.strip() != "" and text.strip() in PREPENDED_PUNCTUATION
            joins_next = is_prepended and self.decode(merged[-1]) == text
        return merged


def _is_appended(text: str) -> bool:
    """Whether a word is nothing but punctuation that belongs to the word before it."""
    return (
        text.strip() != ""
        and not text.startswith(" ")
        and all(character in APPENDED_PUNCTUATION for character in text)
    )


def token_map(source: Tokenizer, target: Tokenizer) -> dict[int, int]:
    """Ids of `source` to ids of `target` that mean the same: bytes, timestamp or end of text."""
    by_bytes = {content: i for i, content in target.token_bytes.items()}
    same = {
        i: by_bytes[content] for i, content in source.token_bytes.items() if content in by_bytes
    }
    same[source.eot] = target.eot
    n_timestamps = min(
        source.vocabulary_size - source.first_timestamp,
        target.vocabulary_size - target.first_timestamp,
    )
    return same | {
        source.first_timestamp + n: target.first_timestamp + n for n in range(n_timestamps)
    }
