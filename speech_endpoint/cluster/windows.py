"""A window on its way to a replica, and what was written for it on its way back: pure data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from speech_endpoint.transcript import Waveform, Word
from speech_endpoint.whisper.alignment import timed_words
from speech_endpoint.whisper.batching.sequence import (
    Caller,
    DecodeOptions,
    DecodeRequest,
    DecodeResult,
    DecodingStatistics,
    MultilingualWindow,
    RequestGroup,
)
from speech_endpoint.whisper.fallback import TextQuality
from speech_endpoint.whisper.language_id import LanguagePrior
from speech_endpoint.whisper.tokenizer import Tokenizer


@dataclass(frozen=True)
class SentWindow:
    """A window to be decoded, with all that its text depends on."""

    samples: Waveform
    """(samples,), at most 30 s at 16 kHz."""
    options: DecodeOptions
    caller: str
    """Names whoever waits for it, among those of all ingresses."""
    is_short: bool
    """Whether its caller has little to decode."""
    start_s: float
    """Where it begins in its recording."""
    fallback: bool
    prior: dict[str, float]
    """Of the languages that the caller's windows were in so far."""

    @classmethod
    def of(cls, request: DecodeRequest, caller: str) -> SentWindow:
        """A window that waits here, to be decoded elsewhere."""
        group = request.group
        return cls(
            np.concatenate([np.asarray(part) for part in request.slices]),
            group.options,
            caller,
            group.caller.is_short,
            request.start_s,
            request.fallback,
            dict(group.language_prior.weights),
        )

    def request(self, caller: Caller) -> DecodeRequest:
        """For an engine.

        Args:
            caller: whom the engine knows by the window's `caller`.
        """
        group = RequestGroup(self.options, caller, LanguagePrior(dict(self.prior)))
        # Ray's arrays are read-only, which PyTorch warns of.
        return DecodeRequest(group, 0, self.start_s, (self.samples.copy(),), self.fallback)


@dataclass(frozen=True)
class Text:
    """What was written."""

    language: str
    tokens: tuple[int, ...]
    log_probabilities: tuple[float, ...]
    quality: TextQuality
    temperature: float
    words: Sequence[Sequence[Word]]
    """Of each segment, timed: the attention that tells their times is a hundred times larger."""


@dataclass(frozen=True)
class WindowAnswer:
    """What became of a window."""

    text: Text | None
    """None where it holds two languages, and is to be split."""
    statistics: DecodingStatistics
    detected: dict[str, float] = field(default_factory=dict)
    """What the window adds to its caller's languages."""

    @classmethod
    def of(
        cls, result: DecodeResult | MultilingualWindow, sent: SentWindow, tokenizer: Tokenizer
    ) -> WindowAnswer:
        """What an engine has written, with its words timed."""
        group = result.request.group
        weights = group.language_prior.weights
        detected = {code: weight - sent.prior.get(code, 0.0) for code, weight in weights.items()}
        text = None
        if isinstance(result, DecodeResult):
            text = Text(
                result.language,
                result.tokens,
                result.log_probabilities,
                result.quality,
                result.temperature,
                timed_words(result, tokenizer),
            )
        return cls(text, group.statistics, detected)

    def result(self, request: DecodeRequest) -> DecodeResult | MultilingualWindow:
        """As if it had been decoded here; its caller learns what the replica has learnt."""
        group = request.group
        for code, weight in self.detected.items():
            group.language_prior.weights[code] = (
                group.language_prior.weights.get(code, 0.0) + weight
            )
        for each in fields(DecodingStatistics):
            total = getattr(group.statistics, each.name) + getattr(self.statistics, each.name)
            setattr(group.statistics, each.name, total)
        if self.text is None:
            return MultilingualWindow(request)
        text = self.text
        return DecodeResult(
            request,
            text.language,
            text.tokens,
            text.log_probabilities,
            text.quality,
            text.temperature,
            attention=None,
            words=text.words,
        )
