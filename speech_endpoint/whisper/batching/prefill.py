"""What is done once for a window before its first step: its audio, its language, its prompt."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from speech_endpoint.whisper.batching.sequence import ActiveSequence, DecodeRequest
from speech_endpoint.whisper.language_id import (
    MIN_CONFIDENCE,
    ONE_LANGUAGE_CONFIDENCE,
    LanguageIdentifier,
)
from speech_endpoint.whisper.model.cache import DecoderCache
from speech_endpoint.whisper.model.whisper import WhisperModel


@dataclass(frozen=True)
class Prefilled:
    """Windows whose slots are filled."""

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
        """Fill the slots from `slot` on with windows, those of one group next to one another."""
        started = time.perf_counter()
        log_mel = self.model.log_mel([request.waveform() for request in requests])
        audio_features = self.model.encoder(log_mel)
        self.model.decoder.attach_audio(self.cache, slot, audio_features)
        encoder_s = time.perf_counter() - started

        sequences: list[ActiveSequence] = []
        multilingual: list[bool] = []
        for _, run in groupby(requests, key=self._n_prefix):
            alike, first = list(run), slot + len(sequences)
            logits = self._read_prompts(alike, first)
            languages, in_two = self._languages(alike, logits, first)
            begun = [
                self._sequence(request, language, no_speech)
                for request, language, no_speech in zip(
                    alike, languages, self._no_speech(logits), strict=True
                )
            ]
            self._read_languages(begun, first)
            sequences += begun
            multilingual += in_two
        return Prefilled(sequences, multilingual, log_mel, audio_features, encoder_s)

    def _prefix(self, request: DecodeRequest) -> list[int]:
        """Prompt and start of transcript."""
        return self.model.tokenizer.prompt_prefix(request.group.options.prompt_tokens)

    def _n_prefix(self, request: DecodeRequest) -> int:
        return len(self._prefix(request))

    def _read_prompts(self, requests: Sequence[DecodeRequest], slot: int) -> Tensor:
        """Read prefixes of one length; the logits after them, (windows, vocabulary)."""
        prefixes = [self._prefix(request) for request in requests]
        return self._read(prefixes, 0, slot, logits_from=len(prefixes[0]) - 1)[:, 0]

    def _read_languages(self, sequences: Sequence[ActiveSequence], slot: int) -> None:
        """Read what stands between prefixes of one length and the last of the initial tokens.

        The last one is read by the first step.
        """
        first = self._n_prefix(sequences[0].request)
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

    def _languages(
        self, requests: Sequence[DecodeRequest], logits: Tensor, slot: int
    ) -> tuple[list[str], list[bool]]:
        """Each window's language, given or detected, and whether it holds another one too."""
        languages: list[str] = []
        multilingual: list[bool] = []
        for _, run in groupby(requests, key=lambda request: request.group):
            own, first = list(run), len(languages)
            found = self._languages_of_group(own, logits[first : first + len(own)], slot + first)
            languages += found[0]
            multilingual += found[1]
        return languages, multilingual

    def _languages_of_group(
        self, requests: Sequence[DecodeRequest], logits: Tensor, slot: int
    ) -> tuple[list[str], list[bool]]:
        """As `_languages`, of one group.

        A language of low confidence is taken to be the one that most of the group's speech is in.
        """
        group, n_windows = requests[0].group, len(requests)
        if not self.model.tokenizer.multilingual:
            return ["en"] * n_windows, [False] * n_windows
        if group.options.language is not None:
            return [group.options.language] * n_windows, [False] * n_windows
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
        fitting = self.model.decoder.max_positions - len(initial_tokens)
        return ActiveSequence(
            request=request,
            language=language,
            initial_tokens=initial_tokens,
            max_tokens=min(fitting, options.max_tokens or fitting),
            no_speech_probability=no_speech_probability,
        )
