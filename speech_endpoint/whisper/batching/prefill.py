"""What is done once for a window before its first step: its audio, its language, its prompt."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from speech_endpoint.whisper.batching.sequence import ActiveSequence, DecodeRequest, RequestGroup
from speech_endpoint.whisper.language_id import (
    MIN_CONFIDENCE,
    ONE_LANGUAGE_CONFIDENCE,
    LanguageIdentifier,
)
from speech_endpoint.whisper.model.cache import DecoderCache
from speech_endpoint.whisper.model.whisper import WhisperModel


@dataclass(frozen=True)
class Prefilled:
    """Windows of one group whose slots are filled."""

    sequences: list[ActiveSequence]
    multilingual: list[bool]
    """Of each sequence: the window holds two languages, and is not to be decoded as one."""
    log_mel: Tensor
    """(windows, mels, 3000)."""
    audio_features: Tensor
    """(windows, 1500, width)."""
    encoder_s: float


class Prefill:
    """Fills the slots of a cache."""

    def __init__(self, model: WhisperModel, cache: DecoderCache) -> None:
        self.model, self.cache = model, cache
        self.language_identifier = LanguageIdentifier(model.tokenizer, model.decoder)

    def __call__(self, requests: Sequence[DecodeRequest], slot: int) -> Prefilled:
        """Fill the slots from `slot` on with windows of one group, which share their options."""
        started = time.perf_counter()
        log_mel = self.model.log_mel([request.waveform() for request in requests])
        audio_features = self.model.encoder(log_mel)
        self.model.decoder.attach_audio(self.cache, slot, audio_features)
        encoder_s = time.perf_counter() - started

        group = requests[0].group
        known = self._known_language(group)
        if known is not None:
            logits = self._read_initial(group, known, len(requests), slot)
            languages, multilingual = [known] * len(requests), [False] * len(requests)
        else:
            logits = self._read_prompt(group, len(requests), slot)
            languages, multilingual = self._detect_languages(requests, logits, slot)
        sequences = [
            self._sequence(request, language, no_speech)
            for request, language, no_speech in zip(
                requests, languages, self._no_speech(logits), strict=True
            )
        ]
        if known is None:
            self._read_language(sequences, slot)
        return Prefilled(sequences, multilingual, log_mel, audio_features, encoder_s)

    def _known_language(self, group: RequestGroup) -> str | None:
        return group.options.language if self.model.tokenizer.multilingual else "en"

    def _read_initial(
        self, group: RequestGroup, language: str, n_windows: int, slot: int
    ) -> Tensor:
        """Read all initial tokens but the last, which the first step reads; the logits after the
        start of transcript, (windows, vocabulary)."""
        options, tokenizer = group.options, self.model.tokenizer
        n_prefix = len(tokenizer.prompt_prefix(options.prompt_tokens))
        initial = tokenizer.initial_tokens(language, options.task, options.prompt_tokens)
        tokens = initial[: max(n_prefix, len(initial) - 1)]
        return self._read([tokens] * n_windows, 0, slot, logits_from=n_prefix - 1)[:, 0]

    def _read_prompt(self, group: RequestGroup, n_windows: int, slot: int) -> Tensor:
        """Read prompt and start of transcript; the logits after them, (windows, vocabulary)."""
        prefix = self.model.tokenizer.prompt_prefix(group.options.prompt_tokens)
        return self._read([prefix] * n_windows, 0, slot, logits_from=len(prefix) - 1)[:, 0]

    def _read_language(self, sequences: Sequence[ActiveSequence], slot: int) -> None:
        """Read what stands between the start of transcript and the last of the initial tokens.

        The last one is read by the first step.
        """
        options = sequences[0].group.options
        first = len(self.model.tokenizer.prompt_prefix(options.prompt_tokens))
        between = [sequence.initial_tokens[first:-1] for sequence in sequences]
        if between[0]:
            self._read(between, first, slot, logits_from=len(between[0]))

    def _read(
        self, tokens: list[list[int]], first_position: int, slot: int, logits_from: int
    ) -> Tensor:
        device = self.model.backend.device
        n = len(tokens[0])
        positions = torch.arange(first_position, first_position + n, device=device)
        slots = self.cache.slots(slot, slot + len(tokens))
        return self.model.decoder.step(
            torch.tensor(tokens, device=device),
            positions.expand(len(tokens), -1),
            slots,
            slots.attention_length(first_position + n),
            logits_from,
        )

    def _no_speech(self, logits: Tensor) -> list[float]:
        no_speech = self.model.tokenizer.no_speech
        if no_speech is None:
            return [0.0] * len(logits)
        probabilities: list[float] = torch.softmax(logits, dim=-1)[:, no_speech].tolist()
        return probabilities

    def _detect_languages(
        self, requests: Sequence[DecodeRequest], logits: Tensor, slot: int
    ) -> tuple[list[str], list[bool]]:
        """Each window's language, and whether it holds another one too.

        A language of low confidence is taken to be the one that most of the group's speech is in.
        """
        group = requests[0].group
        among = group.options.languages
        detections = self.language_identifier.detect(logits, among)
        multilingual = [
            detection.confidence < ONE_LANGUAGE_CONFIDENCE
            and self.language_identifier.is_multilingual(
                self.cache, slot + n, request.n_samples, among
            )
            for n, (request, detection) in enumerate(zip(requests, detections, strict=True))
        ]
        prior = group.language_prior
        for request, detection, is_multilingual in zip(
            requests, detections, multilingual, strict=True
        ):
            if not is_multilingual and request.index not in group.languages:
                prior.add(detection.probabilities, request.n_samples)
        for request, detection in zip(requests, detections, strict=True):
            is_certain = detection.confidence >= MIN_CONFIDENCE
            language = detection.language if is_certain else prior.majority_language
            group.languages.setdefault(request.index, language)
        return [group.languages[request.index] for request in requests], multilingual

    def _sequence(
        self, request: DecodeRequest, language: str, no_speech_probability: float
    ) -> ActiveSequence:
        options = request.group.options
        initial_tokens = self.model.tokenizer.initial_tokens(
            language, options.task, options.prompt_tokens
        )
        return ActiveSequence(
            request=request,
            language=language,
            initial_tokens=initial_tokens,
            max_tokens=self.model.decoder.max_positions - len(initial_tokens),
            no_speech_probability=no_speech_probability,
        )
