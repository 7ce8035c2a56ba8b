"""What the windows of a batch have written, as tensors on the device that decodes them.

A step reads and writes them without a look at a value, so that the host need not wait for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from speech_endpoint.whisper.logit_rules import LogitRules, Sampled, TextContext


@dataclass(frozen=True, slots=True)
class Written:
    """What a step wrote; shapes (rows, width) and (rows,)."""

    tokens: Tensor
    """The model's choices, of which the first `n_written` count."""
    log_probabilities: Tensor
    n_written: Tensor
    n_accepted: Tensor
    """How many of a row's draft tokens the model would have written itself."""

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """All of them, in the order above."""
        return self.tokens, self.log_probabilities, self.n_written, self.n_accepted


class BatchState:
    """Of each slot: its latest tokens, how many there are, and whether it is still written.

    Shapes: text (slots, positions + 1), whose last column takes what is not to be kept; all others
    (slots,).
    """

    def __init__(self, rules: LogitRules, n_slots: int, max_positions: int) -> None:
        """
        Args:
            rules: of the model that writes.
            n_slots: windows decoded together.
            max_positions: of the model's text.
        """
        self.rules, self.max_positions = rules, max_positions
        device = rules.timestamp_index.device
        numbers = torch.zeros(7, n_slots, dtype=torch.long, device=device)
        self.last, self.before_last, self.latest_timestamp = numbers[0], numbers[1], numbers[2]
        self.count, self.position, self.limit = numbers[3], numbers[4], numbers[5]
        """Tokens written; where in the text the last one stands; how many fit."""
        self.previous = numbers[6]
        """The token that stands before the last one, initial tokens counted."""
        self._numbers = numbers
        self.active = torch.zeros(n_slots, dtype=torch.bool, device=device)
        self.text = torch.zeros(n_slots, max_positions + 1, dtype=torch.long, device=device)
        self._columns = torch.arange(max_positions, device=device)

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """All that changes; they stay at their addresses."""
        return self._numbers, self.active, self.text

    def begin(self, slot: int, initial_tokens: Sequence[int], limit: int) -> None:
        """Take in a window, or begin it anew.

        Args:
            slot: the window's.
            initial_tokens: of which the first step reads the last.
            limit: how many tokens may be written after them.
        """
        for tensor, value in (
            # Where there is but one, it is read twice, at the same position.
            (self.previous, initial_tokens[-2:][0]),
            (self.last, initial_tokens[-1]),
            (self.before_last, -1),
            (self.latest_timestamp, -1),
            (self.count, 0),
            (self.position, len(initial_tokens) - 1),
            (self.limit, limit),
            (self.active, True),
        ):
            tensor[slot] = value

    def stop(self, slot: int) -> None:
        """Write no more in a slot."""
        self.active[slot] = False

    def move(self, source: int, target: int) -> None:
        """Copy slot `source` over slot `target`."""
        for tensor in (self._numbers.T, self.active, self.text):
            tensor[target] = tensor[source]

    def inputs(self, drafts: Tensor) -> tuple[Tensor, Tensor]:
        """What a step reads: the last token and the drafted ones, and where they stand.

        Args:
            drafts: (rows, k), next tokens of the first slots; -1 where there are fewer.

        Returns:
            Tokens and positions, (rows, k + 1).
        """
        n_rows, k = drafts.shape
        tokens = torch.cat([self.last[:n_rows, None], drafts.clamp(min=0)], dim=1)
        positions = self.position[:n_rows, None] + self._columns[: k + 1]
        return tokens, positions.clamp(max=self.max_positions - 1)

    def context(self, drafts: Tensor) -> TextContext:
        """What stands before each position of a step, were the drafts written; arguments as in
        `inputs`.

        Returns:
            Of (rows * (k + 1),) positions.
        """
        n_rows, k = drafts.shape
        written = torch.where(self.count[:n_rows] > 0, self.last[:n_rows], -1)
        history = torch.cat([self.before_last[:n_rows, None], written[:, None], drafts], dim=1)
        before, last = history[:, : k + 1], history[:, 1:]
        latest = self.latest_timestamp[:n_rows, None]
        if k:
            latest = torch.cat([latest, self._timestamps(drafts)], dim=1).cummax(dim=1).values
        return TextContext(last.flatten(), before.flatten(), latest.flatten())

    def write(self, drafts: Tensor, chosen: Sampled) -> Written:
        """Append each row's accepted draft and one token more, up to the end of text or of space.

        Args:
            drafts: as in `inputs`.
            chosen: at each of the step's positions, (rows * (k + 1),).
        """
        n_rows, k = drafts.shape
        width, eot = k + 1, self.rules.tokenizer.eot
        tokens = chosen.tokens.view(n_rows, width)
        count, active = self.count[:n_rows], self.active[:n_rows]
        n_accepted = (tokens[:, :k] == drafts).long().cumprod(dim=1).sum(dim=1) * active
        columns = self._columns[:width]
        room = torch.minimum(n_accepted + 1, self.limit[:n_rows] - count) * active
        n_ended = (tokens == eot).long().cumsum(dim=1) - (tokens == eot).long()
        is_kept = (columns < room[:, None]) & (n_ended == 0)
        n_written = is_kept.sum(dim=1)
        places = torch.where(is_kept, count[:, None] + columns, self.max_positions)
        self.text[:n_rows].scatter_(1, places, tokens)
        self._advance(tokens, is_kept, n_written)
        log_probabilities = chosen.log_probabilities.view(n_rows, width)
        return Written(tokens, log_probabilities, n_written, n_accepted)

    def _advance(self, tokens: Tensor, is_kept: Tensor, n_written: Tensor) -> None:
        n_rows, at = len(tokens), n_written[:, None]
        count, last, active = self.count[:n_rows], self.last[:n_rows], self.active[:n_rows]
        before_last, latest = self.before_last[:n_rows], self.latest_timestamp[:n_rows]
        previous = self.previous[:n_rows]
        read = torch.cat([previous[:, None], last[:, None], tokens], dim=1)
        previous.copy_(read.gather(1, at)[:, 0])
        written = torch.where(count > 0, last, -1)
        history = torch.cat([before_last[:, None], written[:, None], tokens], dim=1)
        before_last.copy_(history.gather(1, at)[:, 0])
        newest = history.gather(1, at + 1)[:, 0]
        last.copy_(torch.where(n_written > 0, newest, last))
        stamps = self._timestamps(tokens).masked_fill_(~is_kept, -1)
        torch.maximum(latest, stamps.amax(dim=1), out=latest)
        count.add_(n_written)
        self.position[:n_rows].add_(n_written)
        active.logical_and_((last != self.rules.tokenizer.eot) & (count < self.limit[:n_rows]))

    def _timestamps(self, tokens: Tensor) -> Tensor:
        """Timestamps counted from <|0.00|>, and -1 for other tokens."""
        rules = self.rules
        first = rules.tokenizer.first_timestamp
        return torch.where(rules.is_timestamp(tokens), tokens - first, -1)
