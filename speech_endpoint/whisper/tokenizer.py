"""What Whisper's token ids mean: special tokens, timestamps, bytes of text, words."""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections.abc import Sequence
from functools import cached_property

from speech_endpoint.errors import ModelUnavailable
from speech_endpoint.orthography import word_starts
from speech_endpoint.whisper.checkpoint import Checkpoint
from speech_endpoint.whisper.checkpoint.published import TokenRules
from speech_endpoint.whisper.model.features import AUDIO_FRAME_S, AUDIO_FRAMES

# The end of text in GPT-2's own vocabulary, which the English models have, is one less.
MULTILINGUAL_EOT = 50_257
N_TIMESTAMPS = AUDIO_FRAMES + 1
"""<|0.00|> to <|30.00|>."""
LANGUAGE = re.compile(r"<\|([a-z]{2,3})\|>")
# What a text never holds, whether or not a checkpoint's list of suppressed tokens names it.
NEVER_WRITTEN = (
    "<|startoftranscript|>",
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|nocaptions|>",
    "<|notimestamps|>",
)


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
    """The token ids of one checkpoint. Special tokens bear openai/whisper's names.

    What an id means is what the vocabulary says; generation_config.json, which people copy from
    other models, is asked for what the vocabulary does not know.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        """
        Raises:
            ModelUnavailable: the tokenizer is not one of a Whisper, or not this one's.
        """
        rules, self._name = checkpoint.token_rules, checkpoint.name
        self.ids = checkpoint.vocabulary.ids
        self.encode = checkpoint.vocabulary.encode
        self.vocabulary_size: int = checkpoint.config.vocab_size
        self.eot: int = self._required("<|endoftext|>")
        self.sot: int = self._required("<|startoftranscript|>")
        self.sot_prev: int = self._required("<|startofprev|>")
        self.no_timestamps: int = self._required("<|notimestamps|>")
        self.no_speech: int | None = self.ids.get("<|nospeech|>", self.ids.get("<|nocaptions|>"))
        self.first_timestamp: int = self.ids.get("<|0.00|>", self.no_timestamps + 1)
        self.after_timestamps = self.first_timestamp + N_TIMESTAMPS
        """The first id after <|30.00|>: of a token that a fine-tune has added, or of none."""
        self._check_sizes(rules)
        self.added_words = {
            i: text
            for i, text in checkpoint.vocabulary.added_words.items()
            if i >= self.after_timestamps
        }
        """Tokens that a fine-tune has added, as text."""
        self.multilingual = rules.is_multilingual
        if rules.is_multilingual is None:
            self.multilingual = self.eot >= MULTILINGUAL_EOT
        self.languages: dict[str, int] = self._languages(rules) if self.multilingual else {}
        """Ids by code."""
        self.tasks: dict[str, int] = self._tasks(rules) if self.multilingual else {}
        if self.multilingual and not (self.languages and "transcribe" in self.tasks):
            raise self._unavailable(
                "has no tokens of languages and tasks, and generation_config.json has no lang_to_id"
                " and task_to_id"
            )
        self.suppress_tokens = self._suppressed(rules)
        self.begin_suppress_tokens = self._suppressed_at_begin(rules)
        self.max_initial_timestamp: int | None = rules.max_initial_timestamp_index

    def _required(self, token: str) -> int:
        if token not in self.ids:
            raise self._unavailable(f"lacks {token}")
        return self.ids[token]

    def _unavailable(self, problem: str) -> ModelUnavailable:
        return ModelUnavailable(
            f"{self._name!r}: its tokenizer {problem}; copy tokenizer.json and"
            " generation_config.json from the base model"
        )

    def _check_sizes(self, rules: TokenRules) -> None:
        """Find the tokenizer of another Whisper, whose special tokens lie elsewhere."""
        if self.after_timestamps > self.vocabulary_size:
            raise self._unavailable(
                f"needs {self.after_timestamps} ids, and the network knows {self.vocabulary_size}"
            )
        said = rules.no_timestamps_token_id
        fits = self.after_timestamps == self.vocabulary_size
        if not fits and said is not None and said != self.no_timestamps:
            raise self._unavailable(
                f"has <|notimestamps|> at {self.no_timestamps}, and generation_config.json at"
                f" {said}"
            )

    def _languages(self, rules: TokenRules) -> dict[str, int]:
        said = rules.lang_to_id or {}
        known = {
            match[1]: i
            for token, i in sorted(self.ids.items(), key=lambda item: item[1])
            if (match := LANGUAGE.fullmatch(token)) and i > self.sot
        }
        named = {name[2:-2]: i for name, i in said.items() if LANGUAGE.fullmatch(name)}
        in_range = {code: i for code, i in named.items() if i < self.vocabulary_size}
        return {code: known.get(code, i) for code, i in in_range.items()} or known

    def _tasks(self, rules: TokenRules) -> dict[str, int]:
        said = rules.task_to_id or {}
        names = ("transcribe", "translate")
        tasks = {name: self.ids.get(f"<|{name}|>", said.get(name)) for name in names}
        return {name: i for name, i in tasks.items() if i is not None and i < self.vocabulary_size}

    def _suppressed(self, rules: TokenRules) -> list[int]:
        """Ids that are never written: those of the list, and those that mean nothing in a text."""
        listed = {i for i in rules.suppress_tokens or () if 0 <= i < self.vocabulary_size}
        special = {self.ids[token] for token in NEVER_WRITTEN if token in self.ids}
        after = range(self.after_timestamps, self.vocabulary_size)
        return sorted(listed | special | {i for i in after if i not in self.added_words})

    def _suppressed_at_begin(self, rules: TokenRules) -> list[int]:
        if "begin_suppress_tokens" not in rules.model_fields_set:
            # openai/whisper's: no window begins with a blank or with the end of the text.
            return [*self.encode(" "), self.eot]
        return [i for i in rules.begin_suppress_tokens or () if 0 <= i < self.vocabulary_size]

    @cached_property
    def token_bytes(self) -> dict[int, bytes]:
        """The bytes of every text token."""
        table = byte_of_character()
        spelled = {
            i: bytes(table[c] for c in token)
            for token, i in self.ids.items()
            if i < self.eot and all(c in table for c in token)
        }
        return spelled | {i: text.encode() for i, text in self.added_words.items()}

    def same_ids(self, other: Tokenizer) -> bool:
        """Whether every id means there what it means here."""
        names = ("ids", "vocabulary_size", "first_timestamp", "added_words", "languages", "tasks")
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def is_timestamp(self, token: int) -> bool:
        return self.first_timestamp <= token < self.after_timestamps

    def is_text(self, token: int) -> bool:
        return token < self.eot or token in self.added_words

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

    def split_to_words(self, tokens: Sequence[int]) -> list[list[int]]:
        """Group text tokens to words, each with its leading space and its punctuation.

        Words begin where `orthography.word_starts` has them begin, as far as tokens do: each is in
        one word, in order, and the words' texts join to that of all tokens.
        """
        characters = self._split_to_characters(tokens)
        texts = [self.decode(group) for group in characters]
        starts = word_starts("".join(texts))
        words: list[list[int]] = []
        at = 0
        for group, text in zip(characters, texts, strict=True):
            if not words or (text and at in starts):
                words.append([])
            words[-1] += group
            at += len(text)
        return words

    def _split_to_characters(self, tokens: Sequence[int]) -> list[list[int]]:
        """Join tokens to whole characters: one of several bytes may be spread over tokens.

        Bytes that are not UTF-8 spoil the tokens that hold them, none after those.
        """
        groups: list[list[int]] = []
        unfinished = b""
        for token in tokens:
            spelled = self.token_bytes.get(token, b"")
            if unfinished and (not spelled or _may_follow(unfinished, spelled)):
                groups[-1].append(token)
            else:
                groups.append([token])
                unfinished = b""
            unfinished = _unfinished(unfinished + spelled)
        return groups


def _unfinished(spelled: bytes) -> bytes:
    """The first bytes of a character whose others are still to come; none if it is whole."""
    decoder = getincrementaldecoder("utf-8")("replace")
    decoder.decode(spelled)
    return decoder.getstate()[0]


def _may_follow(unfinished: bytes, spelled: bytes) -> bool:
    """Whether the character goes on with these bytes."""
    try:
        getincrementaldecoder("utf-8")().decode(unfinished + spelled[:1])
    except UnicodeDecodeError:
        return False
    return True


def token_map(source: Tokenizer, target: Tokenizer) -> dict[int, int]:
    """Ids of `source` to ids of `target` that mean the same: bytes, timestamp or end of text."""
    by_bytes = {content: i for i, content in target.token_bytes.items()}
    same = {
        i: by_bytes[content] for i, content in source.token_bytes.items() if content in by_bytes
    }
    same[source.eot] = target.eot
    return same | {
        source.first_timestamp + n: target.first_timestamp + n for n in range(N_TIMESTAMPS)
    }
