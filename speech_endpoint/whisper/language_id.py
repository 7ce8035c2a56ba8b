"""Which language a window is in, and whether it is in one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from speech_endpoint.transcript import SAMPLE_RATE_HZ
from speech_endpoint.whisper.model.cache import DecoderCache
from speech_endpoint.whisper.model.decoder import Decoder
from speech_endpoint.whisper.model.features import WINDOW_SAMPLES
from speech_endpoint.whisper.tokenizer import Tokenizer

# A language detected with less confidence gives way to the one that the caller's windows so far
# are in.
MIN_CONFIDENCE = 0.8
# Below the first confidence the language of every part of PART_S is identified; the window is
# multilingual if two parts differ, each above the second.
ONE_LANGUAGE_CONFIDENCE, PART_CONFIDENCE = 0.98, 0.9
PART_S = 5.0


@dataclass
class LanguagePrior:
    """How much of a caller's speech is in which language, by the windows detected so far."""

    weights: dict[str, float] = field(default_factory=dict)

    def add(self, probabilities: dict[str, float], n_samples: int) -> None:
        """Count a window of so many samples in."""
        for code, probability in probabilities.items():
            self.weights[code] = self.weights.get(code, 0.0) + probability * n_samples

    def share(self, code: str) -> float:
        """How probable a language is, in all that was counted; 1 where nothing was."""
        return self.weights.get(code, 0.0) / total if (total := sum(self.weights.values())) else 1.0

    @property
    def majority_language(self) -> str:
        return max(self.weights, key=self.weights.__getitem__, default="en")


@dataclass(frozen=True, slots=True)
class Detection:
    """The language of one window."""

    language: str
    confidence: float
    probabilities: dict[str, float]
    """By code."""


class LanguageIdentifier:
    """Reads languages from the logits after the start of transcript, as Whisper was trained to."""

    def __init__(self, tokenizer: Tokenizer, decoder: Decoder) -> None:
        self.tokenizer, self.decoder = tokenizer, decoder
        self.codes = list(tokenizer.languages)
        self._ids = list(tokenizer.languages.values())

    def detect(self, logits: Tensor, among: Collection[str] = ()) -> list[Detection]:
        """The most likely language of each window.

        Args:
            logits: (windows, vocabulary), after the start of transcript.
            among: codes of the languages that it may be; none: any.
        """
        return [
            Detection(
                self.codes[max(range(len(row)), key=row.__getitem__)], max(row), self._named(row)
            )
            for row in self._probabilities(logits, among).tolist()
        ]

    def is_multilingual(
        self, cache: DecoderCache, slot: int, n_samples: int, among: Collection[str] = ()
    ) -> bool:
        """Whether parts of the window in `slot` are certainly in different languages.

        Args:
            cache: holds the window's audio.
            slot: the window's.
            n_samples: its length.
            among: as in `detect`.
        """
        n_parts = round(n_samples / SAMPLE_RATE_HZ / PART_S)
        if n_parts < 2:
            return False
        all_frames = self.decoder.n_audio_frames
        n_frames = min(all_frames, n_samples * all_frames // WINDOW_SAMPLES)
        parts = self.decoder.split_audio(cache, slot, n_frames, n_parts)
        sot = torch.full((n_parts, 1), self.tokenizer.sot, device=self.decoder.backend.device)
        length = parts.attention_length(1)
        logits = self.decoder.step(sot, torch.zeros_like(sot), parts, length)[:, 0]
        confidence, best = self._probabilities(logits, among).max(dim=-1)
        return len(best[confidence >= PART_CONFIDENCE].unique()) > 1

    def _probabilities(self, logits: Tensor, among: Collection[str]) -> Tensor:
        """(windows, languages), among the languages alone."""
        logits = logits[:, self._ids]
        if among:
            others = torch.tensor([code not in among for code in self.codes], device=logits.device)
            logits = logits.masked_fill(others, -torch.inf)
        return torch.softmax(logits, dim=-1)

    def _named(self, row: Sequence[float]) -> dict[str, float]:
        return dict(zip(self.codes, row, strict=True))
