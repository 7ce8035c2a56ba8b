"""Which token may follow: Whisper's rules of suppression and timestamps.

Radford et al. 2022, section 3.3; the rules are those of openai/whisper's `ApplyTimestampRules` and
transformers' `WhisperTimeStampLogitsProcessor`, for many positions at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from speech_endpoint.whisper.tokenizer import N_TIMESTAMPS, Tokenizer


@dataclass(frozen=True, slots=True)
class TextContext:
    """What stands before each position, prompt and initial tokens apart: (positions,), int64."""

    last: Tensor
    """The token before; -1 where none is written."""
    before_last: Tensor
    latest_timestamp: Tensor
    """Counted from <|0.00|>; -1 where none is written."""

    @classmethod
    def after(
        cls, histories: Sequence[Sequence[int]], tokenizer: Tokenizer, device: torch.device
    ) -> TextContext:
        """A position after each of the texts, which are written since the initial tokens."""
        rows = [
            (
                tokens[-1] if tokens else -1,
                tokens[-2] if len(tokens) > 1 else -1,
                max(
                    (t - tokenizer.first_timestamp for t in tokens if tokenizer.is_timestamp(t)),
                    default=-1,
                ),
            )
            for tokens in histories
        ]
        last, before_last, latest = torch.tensor(rows, device=device).T
        return cls(last, before_last, latest)

    def column(self, n: int, n_rows: int) -> TextContext:
        """The n-th of the positions of each row, where all rows have as many."""
        parts = (self.last, self.before_last, self.latest_timestamp)
        return TextContext(*(part.view(n_rows, -1)[:, n] for part in parts))


@dataclass(frozen=True, slots=True)
class Sampler:
    """Draws a token at random instead of taking the likeliest."""

    temperature: float
    generator: torch.Generator


@dataclass(frozen=True, slots=True)
class Sampled:
    """The token at each position and its log-probability under the rules; shapes (positions,)."""

    tokens: Tensor
    log_probabilities: Tensor


class LogitRules:
    """Applies the rules of one vocabulary to logits, without a look at any value."""

    def __init__(self, tokenizer: Tokenizer, device: torch.device) -> None:
        self.tokenizer = tokenizer
        self.suppress_tokens = torch.tensor(
            tokenizer.suppress_tokens, dtype=torch.long, device=device
        )
        self.timestamp_index = torch.arange(N_TIMESTAMPS, device=device)
        last = tokenizer.max_initial_timestamp
        self._initial_timestamps = N_TIMESTAMPS if last is None else last + 1

    def is_timestamp(self, tokens: Tensor) -> Tensor:
        """Which of `tokens` are timestamps: bool, of the same shape."""
        tokenizer = self.tokenizer
        return (tokens >= tokenizer.first_timestamp) & (tokens < tokenizer.after_timestamps)

    def choose(
        self, logits: Tensor, context: TextContext, samplers: Sequence[Sampler | None] = ()
    ) -> Sampled:
        """Choose a token at each position: the likeliest, or one drawn where there is a sampler.

        Args:
            logits: (positions, vocabulary), float32; masked in place.
            context: of each position.
            samplers: of each position; none at all: the likeliest everywhere. A draw waits for the
                device.
        """
        self._mask(logits, context)
        first, after = self.tokenizer.first_timestamp, self.tokenizer.after_timestamps
        scores = torch.log_softmax(logits, dim=1)
        text, timestamps = scores[:, :first], scores[:, first:after]
        best_text = text.amax(dim=1)
        text_token = text.argmax(dim=1)
        if self.tokenizer.added_words:
            best_added, added_token = scores[:, after:].max(dim=1)
            text_token = torch.where(best_added > best_text, added_token + after, text_token)
            best_text = torch.maximum(best_added, best_text)
        # All timestamps together are likelier than any one text token: it is time for one.
        is_timestamp = torch.logsumexp(timestamps, dim=1) > best_text
        tokens = torch.where(is_timestamp, timestamps.argmax(dim=1) + first, text_token)
        for position, sampler in enumerate(samplers):
            if sampler is not None:
                tokens[position] = self._draw(
                    logits[position].clone(), bool(is_timestamp[position]), sampler
                )
        return Sampled(tokens, scores.gather(1, tokens[:, None])[:, 0])

    def _mask(self, logits: Tensor, context: TextContext) -> None:
        """Forbid text at a window's first position and between the two timestamps of a pair, a
        timestamp after a pair, one that goes back in time, and a second one of the same time
        unless it completes a pair."""
        tokenizer = self.tokenizer
        first, after = tokenizer.first_timestamp, tokenizer.after_timestamps
        is_first = context.last < 0
        after_timestamp = self.is_timestamp(context.last)
        before = context.before_last
        after_pair = after_timestamp & ((before < 0) | self.is_timestamp(before))
        no_text = is_first | (after_timestamp & ~after_pair)
        low = context.latest_timestamp + (~after_timestamp).long()
        high = torch.where(is_first, self._initial_timestamps, N_TIMESTAMPS).masked_fill_(
            after_pair, 0
        )
        logits.index_fill_(1, self.suppress_tokens, -torch.inf)
        # Added row by row: a mask that is spread over a row takes many times as long on a CPU.
        barred = torch.where(no_text, -torch.inf, 0.0)[:, None]
        logits[:, : tokenizer.eot].add_(barred)
        logits[:, tokenizer.eot : first].masked_fill_(is_first[:, None], -torch.inf)
        if tokenizer.added_words:
            logits[:, after:].add_(barred)
        index = self.timestamp_index
        forbidden = (index < low[:, None]) | (index >= high[:, None])
        logits[:, first:after].masked_fill_(forbidden, -torch.inf)

    def _draw(self, logits: Tensor, is_timestamp: bool, sampler: Sampler) -> int:
        """A token drawn from the distribution of `logits`, (vocabulary,), at a temperature."""
        if is_timestamp:
            logits[: self.tokenizer.first_timestamp] = -torch.inf
            logits[self.tokenizer.after_timestamps :] = -torch.inf
        weights = torch.softmax(logits / sampler.temperature, dim=0).cpu()
        return int(torch.multinomial(weights, 1, generator=sampler.generator))
