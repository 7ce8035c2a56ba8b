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
class TokenConstraint:
    """What may be written at one position. Timestamps are counted from <|0.00|>."""

    text: bool = True
    """Text tokens; the end of text is not one of them."""
    timestamps_from: int = 0
    timestamps_to: int = N_TIMESTAMPS
    """The first that may not be written."""
    first: bool = False
    """The first position of a window, where an empty text is not allowed."""


def constraint_after(tokens: Sequence[int], tokenizer: Tokenizer) -> TokenConstraint:
    """What may follow `tokens`, those written since the initial tokens, timestamps included."""
    if not tokens:
        last = tokenizer.max_initial_timestamp
        return TokenConstraint(
            text=False, first=True, timestamps_to=N_TIMESTAMPS if last is None else last + 1
        )
    after_timestamp = tokenizer.is_timestamp(tokens[-1])
    after_pair = after_timestamp and (len(tokens) < 2 or tokenizer.is_timestamp(tokens[-2]))
    if after_pair:
        return TokenConstraint(timestamps_to=0)
    latest = next((t for t in reversed(tokens) if tokenizer.is_timestamp(t)), None)
    floor = 0 if latest is None else latest - tokenizer.first_timestamp
    if after_timestamp:
        return TokenConstraint(text=False, timestamps_from=floor)
    return TokenConstraint(timestamps_from=floor if latest is None else floor + 1)


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
    """Applies the rules of one vocabulary to logits."""

    def __init__(self, tokenizer: Tokenizer, device: torch.device) -> None:
        self.tokenizer = tokenizer
        self.suppress_tokens = torch.tensor(tokenizer.suppress_tokens, device=device)
        self.begin_suppress_tokens = torch.tensor(
            tokenizer.begin_suppress_tokens, dtype=torch.long, device=device
        )
        self.timestamp_index = torch.arange(N_TIMESTAMPS, device=device)

    def choose(
        self,
        logits: Tensor,
        constraints: Sequence[TokenConstraint],
        samplers: Sequence[Sampler | None] = (),
    ) -> Sampled:
        """Choose a token at each position: the likeliest, or one drawn where there is a sampler.

        Args:
            logits: (positions, vocabulary), float32; masked in place.
            constraints: of each position.
            samplers: of each position; none at all: the likeliest everywhere.
        """
        self._mask(logits, constraints)
        first, after = self.tokenizer.first_timestamp, self.tokenizer.after_timestamps
        text, timestamps = logits[:, :first], logits[:, first:after]
        best_text, best_text_token = text.max(dim=1)
        timestamps_total = torch.logsumexp(timestamps, dim=1)
        total = torch.logaddexp(torch.logsumexp(text, dim=1), timestamps_total)
        if self.tokenizer.added_words:
            added = logits[:, after:]
            best_added, best_added_token = added.max(dim=1)
            is_added = best_added > best_text
            best_text_token = torch.where(is_added, best_added_token + after, best_text_token)
            best_text = torch.maximum(best_added, best_text)
            total = torch.logaddexp(total, torch.logsumexp(added, dim=1))
        # All timestamps together are likelier than any one text token: it is time for one.
        is_timestamp = timestamps_total > best_text
        best_timestamp, best_timestamp_token = timestamps.max(dim=1)
        tokens = torch.where(is_timestamp, best_timestamp_token + first, best_text_token)
        chosen = torch.where(is_timestamp, best_timestamp, best_text)
        for position, sampler in enumerate(samplers):
            if sampler is not None:
                token = self._draw(logits[position].clone(), bool(is_timestamp[position]), sampler)
                tokens[position], chosen[position] = token, logits[position, token]
        return Sampled(tokens, chosen - total)

    def _mask(self, logits: Tensor, constraints: Sequence[TokenConstraint]) -> None:
        tokenizer, device = self.tokenizer, logits.device
        first, after = tokenizer.first_timestamp, tokenizer.after_timestamps
        logits[:, self.suppress_tokens] = -torch.inf
        low = torch.tensor([rule.timestamps_from for rule in constraints], device=device)[:, None]
        high = torch.tensor([rule.timestamps_to for rule in constraints], device=device)[:, None]
        forbidden = (self.timestamp_index < low) | (self.timestamp_index >= high)
        logits[:, first:after].masked_fill_(forbidden, -torch.inf)
        for position, rule in enumerate(constraints):
            if rule.first:
                logits[position, :first] = -torch.inf
                logits[position, after:] = -torch.inf
                logits[position, self.begin_suppress_tokens] = -torch.inf
            elif not rule.text:
                logits[position, : tokenizer.eot] = -torch.inf
                logits[position, after:] = -torch.inf

    def _draw(self, logits: Tensor, is_timestamp: bool, sampler: Sampler) -> int:
        """A token drawn from the distribution of `logits`, (vocabulary,), at a temperature."""
        if is_timestamp:
            logits[: self.tokenizer.first_timestamp] = -torch.inf
            logits[self.tokenizer.after_timestamps :] = -torch.inf
        weights = torch.softmax(logits / sampler.temperature, dim=0).cpu()
        return int(torch.multinomial(weights, 1, generator=sampler.generator))
