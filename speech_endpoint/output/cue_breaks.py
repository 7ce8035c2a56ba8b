"""Where a speaker's words are cut into cues, and a cue into lines: the cheapest way, by dynamic
programming over all of them (as Knuth and Plass break paragraphs, Software: Practice and Experience
11, 1981).

What costs how much follows Netflix's Timed Text Style Guide (two lines of 42 characters, 5/6 s to
7 s, 20 characters a second; one line if the text fits; lines end after punctuation, before
conjunctions and prepositions, and do not separate an article from its noun or a first name from the
last; https://partnerhelp.netflixstudios.com/hc/en-us/articles/215758617) and the BBC's Subtitle
Guidelines (single sentences, breaks at natural points;
https://www.bbc.co.uk/accessibility/forproducts/guides/subtitles/). Sizes are in the unit of
`cue_pieces`: 10 is a break in the middle of a clause.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from speech_endpoint.output.cue_pieces import LineLimit, Piece, break_costs
from speech_endpoint.output.display_text import columns, is_full_width

MIN_CUE_S = 5 / 6
MAX_COLUMNS_PER_S = 20.0
"""Full-width characters count twice: ten a second."""
MAX_ORPHAN_COLUMNS = 12
"""A word up to this is too short to stand alone."""
MAX_PIECES = 200
"""In a cue, whatever their width: combining marks alone have none."""

CUE_COST = 5.0
"""Of each cue: two short sentences may share one."""
MIXED_COST = 6.0
"""Of a cue that holds a sentence's end and a part of another sentence."""
ORPHAN_CUE_COST, ORPHAN_LINE_COST = 30.0, 20.0
HURRY_COST = 30.0
"""Of a cue that must go at once; in proportion to what it lacks of the time to read it."""
PAUSE_COST_PER_S = 10.0
"""Of pauses within a cue, which shows words before they are said."""
MAX_FREE_PAUSE_S = 0.5
LINE_BREAK_SHARE = 0.5
"""A line's end within a cue hurts less than the cue's."""
IMBALANCE_COST = 8.0
"""Of two lines of which one is empty; in proportion to the square of the difference."""
LABEL_LINE_COST = 15.0
"""Of a line that holds nothing but the speaker's name."""


@dataclass(frozen=True, slots=True)
class Label:
    """The speaker's name before the text of a cue; "" for none. Counts as text of its line."""

    text: str = ""

    @property
    def columns(self) -> int:
        return columns(self.text) + 1 if self.text else 0


@dataclass(frozen=True, slots=True)
class CueText:
    """The pieces `first` to `end` - 1, with the second line's first; `first` where the label has a
    line of its own, `end` where there is one line."""

    first: int
    second_line: int
    end: int


@dataclass(frozen=True, slots=True)
class CueRules:
    """How much a cue may hold."""

    limit: LineLimit
    max_cue_s: float


class CueBreaker:
    """Breaks the pieces of one speaker. Costs O(pieces * pieces in a cue * pieces in a line)."""

    def __init__(
        self, pieces: Sequence[Piece], label: Label, rules: CueRules, next_start_s: float
    ) -> None:
        """Measure the pieces.

        Args:
            pieces: those of `cue_pieces.pieces`.
            label: shown in every cue; its text fits in a line.
            rules: what a cue may hold.
            next_start_s: when somebody else's cue follows.
        """
        self.pieces, self.label, self.rules = pieces, label, rules
        self.starts = [*(piece.start for piece in pieces), max(next_start_s, pieces[-1].start)]
        self.break_costs = break_costs(pieces)
        spaced = (columns(piece.text) + piece.is_spaced for piece in pieces)
        self.widths = list(accumulate(spaced, initial=0))
        self.full_width = list(accumulate((is_full_width(p.text) for p in pieces), initial=0))
        pauses = (
            max(0.0, after.start - before.end - MAX_FREE_PAUSE_S)
            for before, after in pairwise(pieces)
        )
        self.pauses = [0.0, *accumulate(pauses, initial=0.0)]
        self.sentence_ends = list(accumulate((piece.ends_sentence for piece in pieces), initial=0))
        self.blanks = list(accumulate((piece.is_spaced for piece in pieces), initial=0))

    def __call__(self) -> list[CueText]:
        """The cheapest cues, in order; each piece is in one."""
        n = len(self.pieces)
        costs = [0.0, *[math.inf] * n]
        last_cues: list[CueText | None] = [None] * (n + 1)
        for first in range(n):
            for end in range(first + 1, min(n, first + MAX_PIECES) + 1):
                layout = self._layout(first, end)
                if layout is None or self._is_too_long(first, end):
                    break
                line_cost, second_line = layout
                cost = costs[first] + line_cost + self._cost(first, end)
                if cost < costs[end]:
                    costs[end], last_cues[end] = cost, CueText(first, second_line, end)
        cues = []
        while n:
            cue = last_cues[n]
            assert cue is not None, "a piece fits in a line"
            cues.append(cue)
            n = cue.first
        return cues[::-1]

    def _is_too_long(self, first: int, end: int) -> bool:
        spoken_s = self.pieces[end - 1].end - self.pieces[first].start
        return end > first + 1 and spoken_s > self.rules.max_cue_s

    def _cost(self, first: int, end: int) -> float:
        """Of a cue, without that of its lines."""
        shown_s = min(self.starts[end] - self.starts[first], self.rules.max_cue_s)
        width = self.label.columns + self._width(first, end)
        needed_s = min(needed_time_s(width), self.rules.max_cue_s)
        cost = CUE_COST + HURRY_COST * max(0.0, 1 - shown_s / needed_s)
        cost += PAUSE_COST_PER_S * (self.pauses[end] - self.pauses[first + 1])
        if not self._is_whole(first, end):
            cost += ORPHAN_CUE_COST * self._is_short_word(first, end)
            cost += MIXED_COST * (self.sentence_ends[end - 1] > self.sentence_ends[first])
        return cost + self.break_costs[end - 1]

    def _layout(self, first: int, end: int) -> tuple[float, int] | None:
        """The cost of the best lines, and where the second begins; None if there is no way."""
        label = self.label.columns
        if self._fits(first, end, label):
            return 0.0, end
        ways = []
        if label and self._fits(first, end, 0):
            ways.append((LABEL_LINE_COST, first))
        for second in range(end - 1, first, -1):
            if not self._fits(second, end, 0):
                break
            if self._fits(first, second, label):
                ways.append((self._two_lines_cost(first, second, end), second))
        return min(ways) if ways else None

    def _two_lines_cost(self, first: int, second: int, end: int) -> float:
        upper = self.label.columns + self._width(first, second)
        difference = (upper - self._width(second, end)) / self.rules.limit.max_columns
        cost = LINE_BREAK_SHARE * self.break_costs[second - 1] + IMBALANCE_COST * difference**2
        is_orphan = self._is_short_word(second, end) or (
            not self.label.text and self._is_short_word(first, second)
        )
        return cost + ORPHAN_LINE_COST * is_orphan

    def _width(self, first: int, end: int) -> int:
        return self.widths[end] - self.widths[first] - self.pieces[first].is_spaced

    def _fits(self, first: int, end: int, label_columns: int) -> bool:
        wide = self.full_width[end] > self.full_width[first] or (
            label_columns > 0 and is_full_width(self.label.text)
        )
        room = self.rules.limit.columns(is_full_width=wide)
        return label_columns + self._width(first, end) <= room

    def _is_short_word(self, first: int, end: int) -> bool:
        one_word = self.blanks[end] == self.blanks[first + 1]
        return one_word and self._width(first, end) <= MAX_ORPHAN_COLUMNS

    def _is_whole(self, first: int, end: int) -> bool:
        """Whether no sentence is cut at either end."""
        begins = first == 0 or self.pieces[first - 1].ends_sentence
        return begins and (end == len(self.pieces) or self.pieces[end - 1].ends_sentence)


def needed_time_s(width: int) -> float:
    """To read text of this many columns."""
    return max(MIN_CUE_S, width / MAX_COLUMNS_PER_S)
