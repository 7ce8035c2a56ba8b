"""How a decoding step is issued, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from speech_endpoint.whisper.logit_rules import constraint_after
from speech_endpoint.whisper.model.cache import DecoderCache
from speech_endpoint.whisper.model.whisper import WhisperModel
from speech_endpoint.whisper.sequence import ActiveSequence


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a step wrote for one sequence: the accepted part of its draft, and one token more."""

    tokens: list[int]
    log_probabilities: list[float]

    @property
    def n_accepted(self) -> int:
        """How many of the tokens had been proposed."""
        return len(self.tokens) - 1


class DirectStepper:
    """Issues steps one by one, and waits for what each says.

    Whoever issues them otherwise, as captured graphs whose results are read later, does it here.
    """

    def __init__(self, model: WhisperModel, cache: DecoderCache) -> None:
        self.model, self.cache = model, cache

    def advance(
        self, sequences: Sequence[ActiveSequence], drafts: Sequence[Sequence[int]]
    ) -> list[Accepted]:
        """Decode one step.

        Args:
            sequences: those in the first slots of the cache, in order.
            drafts: proposed next tokens of each; [] for none.
        """
        width = 1 + max(len(draft) for draft in drafts)
        logits = self._decode(sequences, drafts, width)
        constraints = [
            constraint_after([*sequence.tokens, *draft[:column]], self.model.tokenizer)
            for sequence, draft in zip(sequences, drafts, strict=True)
            for column in range(width)
        ]
        # One draw a row: columns beyond the first only fill up beside rows that have a draft.
        samplers = [
            sequence.sampler if column == 0 else None
            for sequence in sequences
            for column in range(width)
        ]
        sampled = self.model.rules.choose(logits.flatten(0, 1), constraints, samplers)
        tokens = sampled.tokens.view(-1, width).tolist()
        log_probabilities = sampled.log_probabilities.view(-1, width).tolist()
        return [
            _accept(draft, chosen, scores)
            for draft, chosen, scores in zip(drafts, tokens, log_probabilities, strict=True)
        ]

    def _decode(
        self, sequences: Sequence[ActiveSequence], drafts: Sequence[Sequence[int]], width: int
    ) -> Tensor:
        """Logits after the last token and each of the draft's: (sequences, width, vocabulary)."""
        tokenizer, decoder = self.model.tokenizer, self.model.decoder
        device = decoder.backend.device
        tokens, positions = [], []
        for sequence, draft in zip(sequences, drafts, strict=True):
            padding = [tokenizer.eot] * (width - 1 - len(draft))
            tokens.append([sequence.last_token, *draft, *padding])
            first = sequence.n_positions - 1
            positions.append([min(first + n, decoder.max_positions - 1) for n in range(width)])
        furthest = max(row[-1] for row in positions)
        return decoder.step(
            torch.tensor(tokens, device=device),
            torch.tensor(positions, device=device),
            self.cache,
            self.cache.attention_length(furthest + 1),
        )


def _accept(draft: Sequence[int], chosen: Sequence[int], scores: Sequence[float]) -> Accepted:
    """The tokens that the model chose, up to the first that the draft had otherwise."""
    agreed = next((n for n, token in enumerate(draft) if token != chosen[n]), len(draft))
    return Accepted(list(chosen[: agreed + 1]), list(scores[: agreed + 1]))
