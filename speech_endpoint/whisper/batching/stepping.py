"""How a decoding step is issued, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from speech_endpoint.whisper.batching.batch_state import BatchState, Written
from speech_endpoint.whisper.batching.sequence import ActiveSequence
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


@dataclass(frozen=True, slots=True)
class Report:
    """What a step wrote, for the sequences that it was issued for, in their order."""

    sequences: tuple[ActiveSequence, ...]
    temperatures: tuple[int, ...]
    """At which of the temperatures each was: one that began anew since is another text."""
    n_drafted: tuple[int, ...]
    accepted: list[Accepted]


class Stepper(Protocol):
    """Issues steps of the likeliest tokens, and says later what they wrote."""

    def advance(self, sequences: Sequence[ActiveSequence], n_positions: int) -> Report | None:
        """Issue a step of the sequences in the first slots; what one before it wrote, if any.

        Args:
            sequences: in the order of their slots.
            n_positions: of the text of the longest, as far as reports tell.
        """

    def drain(self) -> Report | None:
        """What has been issued and not been reported yet."""

    @property
    def n_unseen(self) -> int:
        """Tokens by which what has not been reported yet may have lengthened a text."""


class DirectStepper:
    """Issues steps one by one, and waits for what each says."""

    def __init__(self, model: WhisperModel, cache: DecoderCache, state: BatchState) -> None:
        self.model, self.cache, self.state = model, cache, state

    def advance(self, sequences: Sequence[ActiveSequence], n_positions: int) -> Report:
        """As in `Stepper`, of this very step."""
        return self.advance_drafted(sequences, n_positions, [[] for _ in sequences])

    def drain(self) -> None:
        """Everything is reported at once."""

    @property
    def n_unseen(self) -> int:
        """As in `Stepper`."""
        return 0

    def advance_drafted(
        self,
        sequences: Sequence[ActiveSequence],
        n_positions: int,
        drafts: Sequence[Sequence[int]],
    ) -> Report:
        """A step with drafts, or with rows that draw at a temperature.

        Args:
            sequences: as in `Stepper.advance`.
            n_positions: as there.
            drafts: proposed next tokens of each; [] for none.
        """
        k = max(len(draft) for draft in drafts)
        padded = torch.tensor(
            [[*draft, *[-1] * (k - len(draft))] for draft in drafts],
            dtype=torch.long,
            device=self.model.backend.device,
        )
        samplers = [sequence.sampler for sequence in sequences]
        written = advance(
            self.model,
            self.cache,
            self.state,
            padded,
            self.cache.attention_length(n_positions + k),
            samplers if any(samplers) else [],
        )
        return Report(
            tuple(sequences),
            tuple(sequence.temperature_index for sequence in sequences),
            tuple(len(draft) for draft in drafts),
            read(written, len(sequences)),
        )


def read(written: Written, n_rows: int) -> list[Accepted]:
    """What a step wrote for its first rows; waits for it where it is on a device."""
    rows = zip(
        written.tokens.tolist(),
        written.log_probabilities.tolist(),
        written.n_written.tolist(),
        written.n_accepted.tolist(),
        strict=True,
    )
    accepted = [Accepted(tokens[:n], scores[:n], right) for tokens, scores, n, right in rows]
    return accepted[:n_rows]
