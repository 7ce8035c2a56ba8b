"""Which token may follow: Whisper's rules of suppression and timestamps (Radford et al. 2022, section 3.3).

The rules are those of openai/whisper's `ApplyTimestampRules` and transformers' `WhisperTimeStampLogitsProcessor`,
for many positions at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from speech_endpoint.whisper.tokenizer import Vocabulary


@dataclass(frozen=True, slots=True)
class Allowed:
    """What may be written at one position. Timestamps are counted from <|0.00|>."""

    text: bool = True
    """Text tokens; the end of text is not one of them."""
    timestamps_from: int = 0
    timestamps_to: int = 1_501
    first: bool = False
    """The first position of a window, where an empty text is not allowed."""


def allowed_after(written: Sequence[int], vocabulary: Vocabulary) -> Allowed:
    """What may follow the tokens `written` since the prompt, timestamps included."""
    if not written:
        last = vocabulary.max_initial_timestamp
        return Allowed(text=False, first=True, timestamps_to=1_501 if last is None else last + 1)
    after_timestamp = vocabulary.is_timestamp(written[-1])
    after_pair = after_timestamp and (len(written) < 2 or vocabulary.is_timestamp(written[-2]))
    if after_pair:
        return Allowed(timestamps_to=0)
    latest = next((t for t in reversed(written) if vocabulary.is_timestamp(t)), None)
    floor = 0 if latest is None else latest - vocabulary.first_timestamp
    if after_timestamp:
        return Allowed(text=False, timestamps_from=floor)
    return Allowed(timestamps_from=floor if latest is None else floor + 1)


@dataclass(frozen=True, slots=True)
class Sampling:
    """Draw the token at random instead of taking the likeliest."""

    temperature: float
    generator: torch.Generator


@dataclass(frozen=True, slots=True)
class Choice:
    """The token chosen at each position and its log-probability under the rules; shapes (positions,)."""

    tokens: torch.Tensor
    log_probabilities: torch.Tensor


class DecodingRules:
    """Applies the rules of one vocabulary to logits."""

    def __init__(self, vocabulary: Vocabulary, device: torch.device) -> None:
        self.vocabulary = vocabulary
        self.suppressed = torch.tensor(vocabulary.suppressed, device=device)
        at_start = [*vocabulary.suppressed_at_start]
        self.suppressed_at_start = torch.tensor(at_start, dtype=torch.long, device=device)
        self.timestamp_index = torch.arange(
            vocabulary.size - vocabulary.first_timestamp, device=device
        )

    def choose(
        self,
        logits: torch.Tensor,
        allowed: Sequence[Allowed],
        samplings: Sequence[Sampling | None] = (),
    ) -> Choice:
        """Choose a token at each position of `logits`, shape (positions, vocabulary), float32; changes `logits`.

        The likeliest, but for the positions with a sampling.
        """
        self._forbid(logits, allowed)
        first = self.vocabulary.first_timestamp
        text, stamps = logits[:, :first], logits[:, first:]
        best_text, best_text_token = text.max(dim=1)
        stamps_total = torch.logsumexp(stamps, dim=1)
        total = torch.logaddexp(torch.logsumexp(text, dim=1), stamps_total)
        # More probability on all timestamps together than on any one text token: it is time for a timestamp.
        only_stamps = stamps_total > best_text
        best_stamp, best_stamp_token = stamps.max(dim=1)
        tokens = torch.where(only_stamps, best_stamp_token + first, best_text_token)
        chosen = torch.where(only_stamps, best_stamp, best_text)
        for position, sampling in enumerate(samplings):
            if sampling is not None:
                token = self._sample(
                    logits[position].clone(), bool(only_stamps[position]), sampling
                )
                tokens[position], chosen[position] = token, logits[position, token]
        return Choice(tokens, chosen - total)

    def _forbid(self, logits: torch.Tensor, allowed: Sequence[Allowed]) -> None:
        vocabulary, none = self.vocabulary, -torch.inf
        logits[:, self.suppressed] = none
        device = logits.device
        low = torch.tensor([rule.timestamps_from for rule in allowed], device=device)[:, None]
        high = torch.tensor([rule.timestamps_to for rule in allowed], device=device)[:, None]
        stamps = logits[:, vocabulary.first_timestamp :]
        stamps.masked_fill_((self.timestamp_index < low) | (self.timestamp_index >= high), none)
        for position, rule in enumerate(allowed):
            if rule.first:
                logits[position, : vocabulary.first_timestamp] = none
                logits[position, self.suppressed_at_start] = none
            elif not rule.text:
                logits[position, : vocabulary.end] = none

    def _sample(self, logits: torch.Tensor, only_stamps: bool, sampling: Sampling) -> int:
        if only_stamps:
            logits[: self.vocabulary.first_timestamp] = -torch.inf
        weights = torch.softmax(logits / sampling.temperature, dim=0).cpu()
        return int(torch.multinomial(weights, 1, generator=sampling.generator))
