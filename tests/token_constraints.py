"""The rules of timestamps one position at a time, in plain words: what the tensors must say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
