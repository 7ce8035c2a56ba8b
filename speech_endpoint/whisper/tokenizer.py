"""What Whisper's token ids mean: special tokens, timestamps, bytes of text, words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from speech_endpoint.whisper.checkpoint import Checkpoint

SECONDS_PER_TIMESTAMP = 0.02
# openai/whisper tokenizer.py: punctuation that belongs to the word after it, and to the word before it.
PREPENDED = "\"'“¿([{-"
APPENDED = "\"'.。,，!！?？:：”)]}、"
# Written without spaces: words are single characters (openai/whisper tokenizer.py).
UNSPACED_LANGUAGES = frozenset({"zh", "ja", "th", "lo", "my", "yue"})


def byte_of_character() -> dict[str, int]:
    """GPT-2's printable stand-ins for bytes (Radford et al. 2019, encoder.py), reversed."""
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    table = {chr(byte): byte for byte in printable}
    others = [byte for byte in range(256) if byte not in set(printable)]
    return table | {chr(256 + n): byte for n, byte in enumerate(others)}


class Vocabulary:
    """The token ids of one checkpoint."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        ids = checkpoint.vocabulary
        rules: Any = checkpoint.generation_config
        self.ids = ids
        self.size: int = checkpoint.config.vocab_size
        self.end: int = ids["<|endoftext|>"]
        self.start: int = ids["<|startoftranscript|>"]
        self.previous: int = ids["<|startofprev|>"]
        self.no_timestamps: int = ids["<|notimestamps|>"]
        self.no_speech: int | None = ids.get("<|nospeech|>", ids.get("<|nocaptions|>"))
        self.first_timestamp: int = self.no_timestamps + 1
        self.multilingual: bool = bool(getattr(rules, "is_multilingual", self.end == 50257))
        self.languages: dict[str, int] = (
            {name[2:-2]: i for name, i in rules.lang_to_id.items()} if self.multilingual else {}
        )
        self.tasks: dict[str, int] = (
            dict(getattr(rules, "task_to_id", None) or {}) if self.multilingual else {}
        )
        self.suppressed: list[int] = sorted({*(rules.suppress_tokens or []), self.no_timestamps})
        self.suppressed_at_start: list[int] = list(rules.begin_suppress_tokens or [])
        self.max_initial_timestamp: int | None = getattr(rules, "max_initial_timestamp_index", None)

    @cached_property
    def token_bytes(self) -> dict[int, bytes]:
        """The bytes of every text token."""
        table = byte_of_character()
        return {
            i: bytes(table[c] for c in token)
            for token, i in self.ids.items()
            if i < self.end and all(c in table for c in token)
        }

    def is_timestamp(self, token: int) -> bool:
        return token >= self.first_timestamp

    def seconds(self, token: int) -> float:
        """The time that a timestamp token means, from the window's start."""
        return (token - self.first_timestamp) * SECONDS_PER_TIMESTAMP

    def text(self, tokens: Sequence[int]) -> str:
        return b"".join(self.token_bytes.get(token, b"") for token in tokens).decode(
            "utf-8", errors="replace"
        )

    def prompt(self, language: str, task: str, previous: Sequence[int] = ()) -> list[int]:
        """What the decoder is given before it writes: earlier text, language and task."""
        head = [self.previous, *previous] if previous else []
        if not self.multilingual:
            return [*head, self.start]
        return [*head, self.start, self.languages[language], self.tasks[task]]

    def split_words(self, tokens: Sequence[int], language: str) -> list[list[int]]:
        """Group text tokens to words, each with its leading space and its punctuation."""
        characters = self._split_characters(tokens)
        if language in UNSPACED_LANGUAGES:
            return self._merge_punctuation(characters)
        words: list[list[int]] = []
        for group in characters:
            if not words or self.text(group).startswith(" "):
                words.append(list(group))
            else:
                words[-1].extend(group)
        return self._merge_punctuation(words)

    def _split_characters(self, tokens: Sequence[int]) -> list[list[int]]:
        """Join tokens until they make whole characters: one of several bytes may be spread over tokens."""
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
            text = self.text(word)
            if merged and (
                joins_next
                or (
                    text.strip() != ""
                    and all(c in APPENDED for c in text)
                    and not text.startswith(" ")
                )
            ):
                merged[-1].extend(word)
            else:
                merged.append(list(word))
            joins_next = (
                text.strip() != "" and text.strip() in PREPENDED and self.text(merged[-1]) == text
            )
        return merged


def token_map(source: Vocabulary, target: Vocabulary) -> dict[int, int]:
    """Ids of `source` to ids of `target` that mean the same: same bytes, same timestamp, same special token."""
    by_bytes = {content: i for i, content in target.token_bytes.items()}
    same = {
        i: by_bytes[content] for i, content in source.token_bytes.items() if content in by_bytes
    }
    same[source.end] = target.end
    timestamps = min(source.size - source.first_timestamp, target.size - target.first_timestamp)
    same |= {source.first_timestamp + n: target.first_timestamp + n for n in range(timestamps)}
    return same
