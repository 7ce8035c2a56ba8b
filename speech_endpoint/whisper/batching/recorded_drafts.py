"""Drafts that are part of a recorded step: chosen on the device, by what it has written itself.

The draft model has the target's vocabulary, and a slot for each of the target's. A step reads the
last two tokens, so that the draft model misses none where all that it drafted was right.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import Tensor

from speech_endpoint.whisper.batching.batch_state import BatchState
from speech_endpoint.whisper.batching.draft_length import DraftPolicy, RecordedDraftLength
from speech_endpoint.whisper.batching.prefill import Prefilled
from speech_endpoint.whisper.batching.sequence import ActiveSequence
from speech_endpoint.whisper.batching.speculation import DraftModel
from speech_endpoint.whisper.model.cache import DecoderCache
from speech_endpoint.whisper.model.whisper import WhisperModel


def choose_drafts(
    model: WhisperModel, cache: DecoderCache, state: BatchState, n_rows: int, length: int, k: int
) -> Tensor:
    """The next tokens by the draft model, which has read all but the last two; no value is read.

    Args:
        model: drafts.
        cache: its, with the slots of `state`.
        state: what is written.
        n_rows: of the step.
        length: positions that the self-attention covers.
        k: how many tokens to draft.

    Returns:
        (n_rows, k), -1 after an end of text.
    """
    at, last_position = state.position[:n_rows, None], state.max_positions - 1
    tokens = torch.stack([state.previous[:n_rows], state.last[:n_rows]], dim=1)
    positions = torch.cat([at - 1, at], dim=1).clamp(min=0)
    drafts = tokens.new_empty(n_rows, 0)
    ended = torch.zeros_like(at, dtype=torch.bool)
    for n in range(k):
        logits = model.decoder.step(tokens, positions, cache, length, tokens.shape[1] - 1)
        context = state.context(drafts).column(n, n_rows)
        tokens = model.rules.choose(logits[:, 0], context).tokens[:, None]
        drafts = torch.cat([drafts, torch.where(ended, -1, tokens)], dim=1)
        ended = ended | (tokens == model.tokenizer.eot)
        positions = (at + n + 1).clamp(max=last_position)
    return drafts


class RecordedDrafts:
    """A draft model beside one batch, in the same slots."""

    def __init__(
        self, draft: DraftModel, state: BatchState, n_slots: int, policy: DraftPolicy
    ) -> None:
        """
        Args:
            draft: of the target's vocabulary.
            state: of the batch.
            n_slots: windows decoded together.
            policy: how to find out whether drafting pays.
        """
        self.draft, self.state = draft, state
        self.cache = draft.model.decoder.new_cache(n_slots)
        self.lengths = RecordedDraftLength(policy)
        self._pending: dict[ActiveSequence, Tensor] = {}
        """What is to be encoded before the first draft; a draft model of no use never encodes."""
        self._read: set[ActiveSequence] = set()
        """Those of whose text the draft model misses no token but the last two."""

    def admit(self, prefilled: Prefilled) -> None:
        """Take in new windows."""
        for n, sequence in enumerate(prefilled.sequences):
            self._pending[sequence] = self.draft.audio(prefilled, n)

    def move(self, source: int, target: int, sequence: ActiveSequence) -> None:
        """Copy the slot of a sequence, as the batch does."""
        if sequence not in self._pending:
            self.cache.move(source, target, self.cache.n_positions)

    def forget(self, sequence: ActiveSequence) -> None:
        """A sequence is done."""
        self._pending.pop(sequence, None)
        self._read.discard(sequence)

    def fall_behind(self) -> None:
        """A step is issued without the draft model."""
        self._read.clear()

    def choose(self, n_rows: int, length: int, k: int) -> Tensor:
        """As `choose_drafts`."""
        return choose_drafts(self.draft.model, self.cache, self.state, n_rows, length, k)

    def catch_up(self, sequences: Sequence[ActiveSequence], n_positions: int) -> None:
        """Read what the draft model has not seen, on the device: the host knows of it later.

        Args:
            sequences: in the order of their slots.
            n_positions: that the longest text may have.
        """
        self._encode_pending(sequences)
        missing = [n for n, sequence in enumerate(sequences) if sequence not in self._read]
        if not missing:
            return
        first, behind = missing[0], sequences[missing[0] : missing[-1] + 1]
        if not any(sequence.tokens for sequence in behind):
            n_positions = max(len(sequence.initial_tokens) for sequence in behind)
        self._read_texts(first, behind, min(n_positions, self.cache.n_positions))
        self._read.update(behind)

    def _encode_pending(self, sequences: Sequence[ActiveSequence]) -> None:
        pending = [(n, self._pending.pop(s)) for n, s in enumerate(sequences) if s in self._pending]
        is_timed = pending and not self.draft.shares_encoder and not self.lengths.encode_window_s
        backend = self.draft.model.backend
        if is_timed:
            backend.synchronize()
        started = time.perf_counter()
        for slot, audio in pending:
            self.draft.attach_audio(self.cache, slot, audio)
        if is_timed:
            backend.synchronize()
            self.lengths.encode_window_s = (time.perf_counter() - started) / len(pending)

    def _read_texts(self, slot: int, sequences: Sequence[ActiveSequence], n: int) -> None:
        """Read the first `n` tokens of each; what stands after a text is written over later."""
        device, n_rows = self.state.text.device, len(sequences)
        n_initial = [len(sequence.initial_tokens) for sequence in sequences]
        initial = [[*s.initial_tokens, *[0] * n][:n] for s in sequences]
        columns = torch.arange(n, device=device).expand(n_rows, n)
        at = columns - torch.tensor(n_initial, device=device)[:, None]
        text = self.state.text[slot : slot + n_rows].gather(1, at.clamp(min=0))
        tokens = torch.where(at < 0, torch.tensor(initial, device=device), text)
        cache = self.cache.slots(slot, slot + n_rows)
        self.draft.model.decoder.step(tokens, columns, cache, cache.attention_length(n), n)
