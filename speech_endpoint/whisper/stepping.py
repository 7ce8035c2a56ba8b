"""How a decoding step is issued, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from speech_endpoint.whisper.batch_state import BatchState, Written
from speech_endpoint.whisper.logit_rules import Sampler
from speech_endpoint.whisper.model.cache import DecoderCache
from speech_endpoint.whisper.model.whisper import WhisperModel


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a step wrote for one sequence: the accepted part of its draft, and one token more."""

    tokens: list[int]
    log_probabilities: list[float]
    n_accepted: int
    """How many of the draft tokens the model would have written itself."""


def advance(
    model: WhisperModel,
    cache: DecoderCache,
    state: BatchState,
    drafts: Tensor,
    length: int,
    samplers: Sequence[Sampler | None] = (),
) -> Written:
    """Decode one step on the device: no value leaves it, but to draw at a temperature.

    Args:
        model: decodes.
        cache: of the batch.
        state: of the batch.
        drafts: (rows, k), next tokens of the first slots; -1 where there are fewer.
        length: positions that the self-attention covers.
        samplers: of each row; none at all: the likeliest tokens.
    """
    tokens, positions = state.inputs(drafts)
    logits = model.decoder.step(tokens, positions, cache, length).flatten(0, 1)
    # One draw a row: columns beyond the first only fill up beside rows that have a draft.
    width = tokens.shape[1]
    spread = [row if n == 0 else None for row in samplers for n in range(width)]
    return state.write(drafts, model.rules.choose(logits, state.context(drafts), spread))


class DirectStepper:
    """Issues steps one by one, and waits for what each says.

    Whoever issues them otherwise, as captured graphs whose results are read later, does it here.
    """

    def __init__(self, model: WhisperModel, cache: DecoderCache, state: BatchState) -> None:
        self.model, self.cache, self.state = model, cache, state

    def advance(
        self,
        drafts: Sequence[Sequence[int]],
        n_positions: int,
        samplers: Sequence[Sampler | None] = (),
    ) -> list[Accepted]:
        """Decode one step of the sequences in the first slots.

        Args:
            drafts: proposed next tokens of each; [] for none.
            n_positions: of the text of the longest.
            samplers: of each; none at all: the likeliest tokens.
        """
        k = max(len(draft) for draft in drafts)
        padded = torch.tensor(
            [[*draft, *[-1] * (k - len(draft))] for draft in drafts],
            dtype=torch.long,
            device=self.model.backend.device,
        )
        length = self.cache.attention_length(n_positions + k)
        written = advance(self.model, self.cache, self.state, padded, length, samplers)
        rows = zip(
            written.tokens.tolist(),
            written.log_probabilities.tolist(),
            written.n_written.tolist(),
            written.n_accepted.tolist(),
            strict=True,
        )
        return [Accepted(tokens[:n], scores[:n], right) for tokens, scores, n, right in rows]
