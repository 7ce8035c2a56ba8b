"""The words of a speaker as pieces that subtitles are put together from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from speech_endpoint.orthography import CLAUSE_ENDS
from speech_endpoint.output.display_text import (
    clusters,
    columns,
    is_full_width,
    may_break,
    visible,
    without_closing_marks,
)
from speech_endpoint.transcript import Word

LINE_ENDS = (*CLAUSE_ENDS, "–", "؛")
"""Punctuation after which a line ends well."""
CONJUNCTIONS = frozenset({
    "and", "or", "but", "because", "although", "though", "while", "when", "whether", "unless",
    "until", "since", "which", "who", "that", "where", "und", "oder", "aber", "weil", "obwohl",
    "während", "wenn", "dass", "sondern", "et", "ou", "mais", "parce", "quand", "lorsque",
    "puisque", "pero", "porque", "aunque", "mientras", "cuando", "sino", "perché", "mentre",
    "quando", "anche", "mas", "embora", "enquanto", "maar", "omdat", "hoewel", "terwijl", "но",
    "или", "потому", "хотя", "когда", "если", "что",
})  # fmt: skip
"""Words that begin a clause, of the languages most spoken; one that is not here costs little."""
MAX_FUNCTION_WORD_LETTERS, MAX_SHORT_WORD_LETTERS = 3, 4
"""Articles, pronouns, prepositions and auxiliaries are hardly longer, in any alphabet; of those
with the second number of letters some are something else."""
MAX_PAUSE_S = 1.0
"""After a longer one a break costs nothing."""

# What a break costs a reader; in the middle of a clause 10. The order is that of Netflix's and the
# BBC's guides (see `cue_breaks`), the sizes are ours.
SENTENCE_COST, CLAUSE_COST, CONJUNCTION_COST = 0.0, 2.0, 4.0
BEFORE_FUNCTION_WORD_COST, WITHIN_CLAUSE_COST = 7.0, 10.0
AFTER_SHORT_WORD_COST, NAME_COST, AFTER_FUNCTION_WORD_COST = 12.0, 14.0, 16.0


@dataclass(frozen=True, slots=True)
class Piece:
    """What is never cut: a word, or a part of one that is wider than a line. Times in seconds."""

    text: str
    start: float
    end: float
    is_spaced: bool
    """Whether a blank stands before it, but at the beginning of a line."""
    ends_sentence: bool

    def joined(self, other: Piece) -> Piece:
        end = max(self.end, other.end)
        return Piece(self.text + other.text, self.start, end, self.is_spaced, other.ends_sentence)


@dataclass(frozen=True, slots=True)
class LineLimit:
    """The most that a line holds, columns. For 42 characters, 16 full-width ones (Netflix's guides
    for Chinese and Korean): a line with such text is narrower, whatever else is in it."""

    max_columns: int

    def of(self, text: str) -> int:
        return self.columns(is_full_width=is_full_width(text))

    def columns(self, *, is_full_width: bool) -> int:
        return self.max_columns * 16 // 21 if is_full_width else self.max_columns


def pieces(words: Iterable[Word], limit: LineLimit, not_before_s: float = 0.0) -> list[Piece]:
    """Cut words where a line may end.

    Args:
        words: of one speaker, in order; starts that go back are moved on.
        limit: no piece is wider than a line.
        not_before_s: when the speaker's last words began.
    """
    joined: list[Piece] = []
    after_blank = False
    for word in words:
        text = visible(word.text)
        after_blank |= text[:1].isspace()
        parts = text.split()
        for piece in _timed(parts, word.start, word.end, after_blank, word.ends_sentence):
            if joined and not (piece.is_spaced or may_break(joined[-1].text, piece.text)):
                piece = joined.pop().joined(piece)
            joined.append(piece)
        after_blank = text[-1:].isspace() or (after_blank and not parts)
    return _in_order((part for piece in joined for part in _cut(piece, limit)), not_before_s)


def break_costs(pieces: Sequence[Piece]) -> list[float]:
    """What a break after each piece costs; none after the last."""
    costs = [_break_cost(*pair) for pair in pairwise(pieces)]
    return [*costs, 0.0]


def _timed(
    texts: Sequence[str], start: float, end: float, is_spaced: bool, ends_sentence: bool
) -> list[Piece]:
    """Pieces that share the time from `start` to `end`; blanks stand between them."""
    step = (end - start) / max(1, len(texts))
    last = len(texts) - 1
    return [
        Piece(
            text,
            start + n * step,
            end if n == last else start + (n + 1) * step,
            is_spaced or n > 0,
            ends_sentence and n == last,
        )
        for n, text in enumerate(texts)
    ]


def _cut(piece: Piece, limit: LineLimit) -> list[Piece]:
    """`piece`, or parts about as wide as each other where it is wider than a line."""
    max_columns, width = limit.of(piece.text), columns(piece.text)
    if width <= max_columns:
        return [piece]
    # One column to spare: a cut between two columns of a character comes before it.
    target = math.ceil(width / math.ceil(width / (max_columns - 1)))
    texts = [""]
    for cluster in clusters(piece.text):
        if texts[-1] and columns(texts[-1] + cluster) > min(target + 1, max_columns):
            texts.append("")
        texts[-1] += cluster
    parts = _timed(texts, piece.start, piece.end, piece.is_spaced, piece.ends_sentence)
    return [parts[0], *(replace(part, is_spaced=False) for part in parts[1:])]


def _in_order(pieces: Iterable[Piece], not_before_s: float) -> list[Piece]:
    """Pieces of which none begins before the last."""
    ordered: list[Piece] = []
    for piece in pieces:
        start = max(piece.start, ordered[-1].start if ordered else not_before_s)
        ordered.append(replace(piece, start=start, end=max(start, piece.end)))
    return ordered


def _break_cost(before: Piece, after: Piece) -> float:
    pause_s = min(max(0.0, after.start - before.end), MAX_PAUSE_S)
    return _text_cost(before, after) * (1 - pause_s / MAX_PAUSE_S)


def _text_cost(before: Piece, after: Piece) -> float:
    bare = without_closing_marks(before.text)
    if before.ends_sentence:
        return SENTENCE_COST
    if bare.endswith(LINE_ENDS):
        return CLAUSE_COST
    if not after.is_spaced:
        return WITHIN_CLAUSE_COST
    if len(bare) <= MAX_FUNCTION_WORD_LETTERS:
        return AFTER_FUNCTION_WORD_COST
    if after.text.casefold() in CONJUNCTIONS:
        return CONJUNCTION_COST
    if before.text[0].isupper() and after.text[0].isupper():
        return NAME_COST
    if len(bare) <= MAX_SHORT_WORD_LETTERS:
        return AFTER_SHORT_WORD_COST
    if len(after.text) <= MAX_FUNCTION_WORD_LETTERS:
        return BEFORE_FUNCTION_WORD_COST
    return WITHIN_CLAUSE_COST
