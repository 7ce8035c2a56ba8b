"""What goes into the engine, what it works on, what comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch

from speech_endpoint.transcript import SAMPLE_RATE_HZ, DecodingScores, Waveform, Word
from speech_endpoint.whisper.attention import frames_of, normalized_attention
from speech_endpoint.whisper.fallback import TextQuality, compression_ratio, temperatures
from speech_endpoint.whisper.language_id import LanguagePrior
from speech_endpoint.whisper.logit_rules import Sampler
from speech_endpoint.whisper.repetition import SettledText, repetition_start, settle
from speech_endpoint.whisper.tokenizer import Tokenizer

# Repetition is looked for each time that so many more tokens are written: cheaper than each time.
REPETITION_CHECK_TOKENS = 8

Later = Callable[[], torch.Tensor]
"""Waits for a tensor that is on its way to the host."""


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """How a caller's windows are decoded."""

    language: str | None = None
    """A code, or None to detect it, window by window."""
    languages: tuple[str, ...] = ()
    """Codes of the only ones to detect; none: all that the model knows."""
    task: str = "transcribe"
    prompt_tokens: tuple[int, ...] = ()
    """Of text that came before, to steer spelling."""
    assisted: bool = False
    """Whether the draft model drafts, where the engine has one."""
    temperature: float = 0.0
    """That decoding begins at; above 0 tokens are drawn at random, from a fixed seed."""
    max_tokens: int | None = None
    """Of a window's text; None: as many as fit."""


@dataclass
class DecodingStatistics:
    """What decoding a caller's windows took."""

    steps: int = 0
    """Steps that any of the windows took part in."""
    row_steps: int = 0
    """Steps times the caller's windows in them."""
    tokens: int = 0
    proposed: int = 0
    """Draft tokens that were compared with the model's own."""
    accepted: int = 0
    """Draft tokens that the model would have written itself."""
    encoder_s: float = 0.0
    fallbacks: int = 0
    """Decodings at a higher temperature."""


@dataclass(frozen=True, eq=False)
class Caller:
    """Whom windows are decoded for, and what of the engine it may have."""

    is_short: bool = False
    """Whether it has little to decode: it then gets more turns than those who have much."""
    max_slots: int | None = None
    """Windows decoded at once; None: as many as there are slots."""

    @property
    def weight(self) -> int:
        """Windows a turn, while others wait."""
        return 2 if self.is_short else 1


@dataclass(eq=False)
class RequestGroup:
    """Windows of one caller that share their options, and what is learnt from them."""

    options: DecodeOptions = field(default_factory=DecodeOptions)
    caller: Caller = field(default_factory=Caller)
    language_prior: LanguagePrior = field(default_factory=LanguagePrior)
    statistics: DecodingStatistics = field(default_factory=DecodingStatistics)
    languages: dict[int, str] = field(default_factory=dict)
    """What was detected, by the index of the window: one that begins anew keeps its language,
    whatever the others have been in since, and counts once in `language_prior`."""


@dataclass(frozen=True, slots=True)
class DecodeRequest:
    """A window that waits to be decoded."""

    group: RequestGroup
    index: int
    """Which of the group's windows it is; the caller's."""
    start_s: float
    """Where it begins in its recording: a group's windows are taken in this order."""
    slices: tuple[Waveform | torch.Tensor, ...]
    """Its samples in order, at most 30 s. Views of a recording, on the host or on the model's
    device, cost nothing to keep."""
    fallback: bool = True
    """Whether text that is not to be trusted is decoded again at higher temperatures."""

    @property
    def n_samples(self) -> int:
        return sum(len(part) for part in self.slices)

    @property
    def duration_s(self) -> float:
        return self.n_samples / SAMPLE_RATE_HZ

    def waveform(self) -> torch.Tensor:
        """The slices as one, where they are."""
        return torch.cat([torch.as_tensor(part) for part in self.slices])


@dataclass(frozen=True, slots=True)
class DecodeResult:
    """The tokens that were written for a window."""

    request: DecodeRequest
    language: str
    tokens: tuple[int, ...]
    """Text and timestamps, without initial tokens and end of text."""
    log_probabilities: tuple[float, ...]
    """Of each token under the rules of decoding."""
    quality: TextQuality
    temperature: float
    attention: Later | None
    """How much more each token, and the end, looked at each frame than the others did, (tokens + 1,
    frames); None where the checkpoint names no heads that tell."""
    words: Sequence[Sequence[Word]] | None = None
    """Of each segment, where whoever decoded it has timed them already."""

    @property
    def scores(self) -> DecodingScores:
        """The figures that Whisper gives with a segment."""
        return DecodingScores(
            temperature=self.temperature,
            mean_log_probability=self.quality.mean_log_probability,
            compression_ratio=self.quality.compression_ratio,
            no_speech_probability=self.quality.no_speech_probability,
            window_start_s=self.request.start_s,
        )


@dataclass(frozen=True, slots=True)
class MultilingualWindow:
    """A window of two languages, handed back undecoded: its parts are to be decoded instead."""

    request: DecodeRequest


@dataclass(eq=False)
class ActiveSequence:
    """A window that is being decoded."""

    request: DecodeRequest
    language: str
    initial_tokens: list[int]
    max_tokens: int
    """How many tokens the text context leaves after the initial ones."""
    no_speech_probability: float
    tokens: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)
    temperature_index: int = 0
    repeats_itself: bool = False
    ended: bool = False
    best: DecodeResult | None = None
    """Of earlier temperatures."""
    temperatures: tuple[float, ...] = field(init=False)
    sampler: Sampler | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.temperatures = temperatures(self.group.options.temperature)
        self._seed()

    @property
    def group(self) -> RequestGroup:
        return self.request.group

    @property
    def temperature(self) -> float:
        return self.temperatures[self.temperature_index]

    @property
    def may_fall_back(self) -> bool:
        """Whether there is a higher temperature, and it is wanted."""
        return self.request.fallback and self.temperature_index + 1 < len(self.temperatures)

    @property
    def n_positions(self) -> int:
        """Positions of its cache that are used."""
        return len(self.initial_tokens) + len(self.tokens)

    @property
    def last_token(self) -> int:
        return self.tokens[-1] if self.tokens else self.initial_tokens[-1]

    @property
    def free_tokens(self) -> int:
        """How many more tokens fit."""
        return self.max_tokens - len(self.tokens)

    def append(self, tokens: Sequence[int], log_probabilities: Sequence[float], eot: int) -> int:
        """Write tokens up to the end of text or of the context; how many were written."""
        before = len(self.tokens)
        for token, log_probability in zip(tokens, log_probabilities, strict=True):
            self.tokens.append(token)
            self.log_probabilities.append(log_probability)
            if token == eot or self.free_tokens <= 0:
                self.ended = True
                break
            if len(self.tokens) % REPETITION_CHECK_TOKENS == 0:
                text = [t for t in self.tokens if t < eot]
                self.repeats_itself = repetition_start(text) is not None
        self.ended = self.ended or self.repeats_itself
        return len(self.tokens) - before

    def written(self, eot: int) -> list[int]:
        """Its tokens without the end of text."""
        return self.tokens[:-1] if self.last_token == eot else self.tokens

    def may_go_on(self, eot: int) -> bool:
        """Whether nothing but repetition has ended it."""
        return self.repeats_itself and self.last_token != eot and self.free_tokens > 0

    def go_on(self, alignment: torch.Tensor | None, eot: int) -> bool:
        """Write on if the repetition is spoken; whether it is.

        Args:
            alignment: where the alignment heads looked when each token so far was written,
                (alignment heads, tokens or one more, 1500); None without such heads.
            eot: the end of text.
        """
        # What is looked for after the last token is known only once the next step has been.
        known = None if alignment is None else alignment[:, : len(self.tokens)]
        spoken = self._settled(self.tokens, known, eot).goes_on
        self.repeats_itself = self.ended = not spoken
        return spoken

    def result(
        self,
        alignment: torch.Tensor | None,
        tokenizer: Tokenizer,
        later: Callable[[Later], Later],
    ) -> DecodeResult:
        """What has been written; repetition that nobody speaks is cut.

        Args:
            alignment: as in `go_on`, of all tokens and the end.
            tokenizer: the model's.
            later: `Backend.later` of where the alignment is.
        """
        tokens = self.written(tokenizer.eot)
        known = alignment
        if alignment is not None and self.last_token != tokenizer.eot:
            known = alignment[:, : len(tokens)]
        settled = self._settled(tokens, known, tokenizer.eot)
        if self.repeats_itself:
            tokens = tokens[: settled.n_tokens]
            alignment = None if alignment is None else alignment[:, : len(tokens) + 1]
        log_probabilities = tuple(self.log_probabilities[: len(tokens)])
        quality = TextQuality(
            # The end of text counts as one of the tokens, as in openai/whisper.
            mean_log_probability=sum(log_probabilities) / (len(log_probabilities) + 1),
            compression_ratio=compression_ratio(tokenizer.decode(tokens)),
            repeats_itself=self.repeats_itself and not settled.is_spoken,
            no_speech_probability=self.no_speech_probability,
            repetition_is_spoken=settled.is_spoken,
        )
        return DecodeResult(
            request=self.request,
            language=self.language,
            tokens=tuple(tokens),
            log_probabilities=log_probabilities,
            quality=quality,
            temperature=self.temperature,
            attention=None if alignment is None else later(self._attention(alignment)),
        )

    def _attention(self, alignment: torch.Tensor) -> Later:
        return partial(normalized_attention, alignment, frames_of(self.request.duration_s))

    def _settled(
        self, tokens: Sequence[int], alignment: torch.Tensor | None, eot: int
    ) -> SettledText:
        # What is decoded again was not to be trusted: over noise, a loop written at a higher
        # temperature may seem to advance.
        trusted = alignment if self.temperature_index == 0 else None
        return settle(tokens, trusted, self.request.duration_s, eot)

    def restart(self) -> None:
        """Decode the window anew at the next temperature."""
        self.temperature_index += 1
        self.tokens, self.log_probabilities = [], []
        self.repeats_itself = self.ended = False
        self._seed()

    def _seed(self) -> None:
        """Draw so that a request gets the same answer twice, whatever is decoded beside it."""
        if self.temperature > 0:
            generator = torch.Generator().manual_seed(self.temperature_index)
            self.sampler = Sampler(self.temperature, generator)
