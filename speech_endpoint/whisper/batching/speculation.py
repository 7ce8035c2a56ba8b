"""Speculative decoding at any batch size: a smaller Whisper drafts, the larger one checks.

Leviathan, Kalman, Matias: "Fast Inference from Transformers via Speculative Decoding" (2023), with
greedy choices: a draft token counts only where the target model would have written the same, so the
draft never changes the text.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from speech_endpoint.errors import ModelUnavailable
from speech_endpoint.whisper.batching.draft_length import DraftPolicy, SpeculationController
from speech_endpoint.whisper.batching.prefill import Prefilled
from speech_endpoint.whisper.batching.sequence import ActiveSequence
from speech_endpoint.whisper.checkpoint import Checkpoint
from speech_endpoint.whisper.checkpoint.weights import encoder_size, same_encoder
from speech_endpoint.whisper.logit_rules import TextContext
from speech_endpoint.whisper.model.cache import DecoderCache
from speech_endpoint.whisper.model.whisper import WhisperModel
from speech_endpoint.whisper.tokenizer import Tokenizer, token_map

logger = logging.getLogger(__name__)

# A draft model of whose text tokens fewer exist in the target's vocabulary would hardly ever finish
# a word.
MIN_SHARED_VOCABULARY = 0.1


class DraftModel:
    """A Whisper that drafts for another, whose vocabulary may be another one."""

    def __init__(
        self, checkpoint: Checkpoint, target: Checkpoint, target_model: WhisperModel
    ) -> None:
        """
        Args:
            checkpoint: of the draft model.
            target: of the model that it drafts for.
            target_model: that model, whose backend both run on.

        Raises:
            ModelUnavailable: this model cannot draft for that one; the message says why.
        """
        tokenizer = Tokenizer(checkpoint)
        self.to_target = token_map(tokenizer, target_model.tokenizer)
        self._from_target = token_map(target_model.tokenizer, tokenizer)
        _check_pair(checkpoint, target, tokenizer, self.to_target)
        self.shares_encoder = same_encoder(checkpoint.weights, target.weights)
        self.model = WhisperModel.from_checkpoint(
            checkpoint,
            target_model.backend,
            encoder=target_model.encoder if self.shares_encoder else None,
        )
        token_bytes = tokenizer.token_bytes
        self._space = next(i for i, content in token_bytes.items() if content == b" ")
        self.shares_log_mel = checkpoint.config.num_mel_bins == target.config.num_mel_bins
        self.encoder_cost = 0.0
        """What its encoder costs, as a part of the target's."""
        if not self.shares_encoder:
            self.encoder_cost = encoder_size(checkpoint.weights) / encoder_size(target.weights)
        self.same_text = self.model.tokenizer.same_ids(target_model.tokenizer) and (
            self.model.decoder.max_positions == target_model.decoder.max_positions
        )
        """Whether it reads the target's tokens as they are, and as many: it may then draft on the
        device, in the step that checks the drafts."""
        if not self.same_text and target_model.backend.recorder() is not None:
            logger.warning(
                "ASSISTANT_MODEL %r has another vocabulary than %r, and does not draft on %s",
                checkpoint.name,
                target.name,
                target_model.backend.device,
            )

    def to_draft_ids(self, tokens: Sequence[int]) -> list[int]:
        """The target's tokens in this vocabulary; a space stands for one that is missing."""
        return [self._from_target.get(token, self._space) for token in tokens]

    def audio(self, prefilled: Prefilled, n: int) -> Tensor:
        """What `attach_audio` takes of the n-th of some windows."""
        if self.shares_encoder:
            return prefilled.audio_features[n : n + 1]
        if self.shares_log_mel:
            return prefilled.log_mel[n : n + 1]
        return self.model.log_mel([prefilled.sequences[n].request.waveform()])

    def attach_audio(self, cache: DecoderCache, slot: int, audio: Tensor) -> None:
        """Encode a window, unless that is done, and take it into a slot of a cache."""
        features = audio if self.shares_encoder else self.model.encoder(audio)
        self.model.decoder.attach_audio(cache, slot, features)


def _check_pair(
    draft: Checkpoint, target: Checkpoint, tokenizer: Tokenizer, shared: Mapping[int, int]
) -> None:
    pair = f"ASSISTANT_MODEL {draft.name!r} cannot draft for {target.name!r}: "
    text_tokens = tokenizer.token_bytes
    n_shared = sum(token in text_tokens for token in shared)
    if n_shared < len(text_tokens) * MIN_SHARED_VOCABULARY:
        raise ModelUnavailable(
            f"{pair}only {n_shared} of its {len(text_tokens)} text tokens exist there"
        )


@dataclass(eq=False)
class DraftSlot:
    """The draft model's side of a sequence."""

    sequence: ActiveSequence
    initial_tokens: list[int]
    n_cached: int = 0
    """How many of the tokens, initial ones included, the draft model's cache holds."""
    pending: Tensor | None = None
    """What is to be encoded (or attached, with a shared encoder) before the first draft. A draft
    model that is of no use never encodes."""

    @property
    def n_certain(self) -> int:
        """Tokens that will not be rejected any more."""
        return len(self.initial_tokens) + len(self.sequence.tokens)


@dataclass(frozen=True, slots=True)
class Proposal:
    """Drafts for the sequences of a step."""

    drafts: list[list[int]]
    """The target's token ids; [] for sequences without a draft."""
    draft_s: float = 0.0

    @classmethod
    def none(cls, n_sequences: int) -> Proposal:
        """No draft for any sequence."""
        return cls([[] for _ in range(n_sequences)])

    @property
    def length(self) -> int:
        return max(len(draft) for draft in self.drafts)


class Speculation:
    """A draft model at work beside one engine, for those of its sequences whose callers wish it."""

    def __init__(self, draft: DraftModel, n_slots: int, policy: DraftPolicy) -> None:
        self.draft = draft
        self.cache = draft.model.decoder.new_cache(n_slots)
        self.controller = SpeculationController(policy)
        self._slots: list[DraftSlot] = []

    def admit(self, prefilled: Prefilled) -> None:
        """Take in new windows; nothing is encoded before a draft is wanted."""
        n_windows = len(prefilled.sequences)
        self.controller.estimate_encoding(prefilled.encoder_s / n_windows * self.draft.encoder_cost)
        for n, sequence in enumerate(prefilled.sequences):
            if sequence.group.options.assisted and not prefilled.multilingual[n]:
                self._slots.append(self._slot(sequence, prefilled, n))

    def _slot(self, sequence: ActiveSequence, prefilled: Prefilled, n: int) -> DraftSlot:
        task = sequence.group.options.task
        tokens = self.draft.model.tokenizer.initial_tokens(sequence.language, task)
        return DraftSlot(sequence, tokens, pending=self.draft.audio(prefilled, n))

    def release(self, sequence: ActiveSequence) -> None:
        """Forget a sequence; the last one moves to its slot."""
        index = self._index(sequence)
        if index is None:
            return
        last = self._slots.pop()
        if index < len(self._slots):
            if last.pending is None:
                self.cache.move(len(self._slots), index, last.n_cached)
            self._slots[index] = last

    def restart(self, sequence: ActiveSequence) -> None:
        """Forget what was read of a sequence's text: it is written anew."""
        index = self._index(sequence)
        if index is not None:
            slot = self._slots[index]
            # The last one is read again, so that there is something to draft from.
            slot.n_cached = min(slot.n_cached, len(slot.initial_tokens) - 1)

    def _index(self, sequence: ActiveSequence) -> int | None:
        return next((n for n, slot in enumerate(self._slots) if slot.sequence is sequence), None)

    def propose(self, sequences: Sequence[ActiveSequence]) -> Proposal:
        """Drafts for a step of `sequences`, as far as drafting pays."""
        n_slots = len(self._slots)
        if not n_slots or self.controller.length == 0 or self.controller.needs_baseline(n_slots):
            return Proposal.none(len(sequences))
        drafted = self._slots[: self.controller.n_rows(len(self._slots))]
        self._encode_pending(drafted)
        started = time.perf_counter()
        # All rows of a step are as wide: the one with the fewest free positions limits the draft.
        max_length = min(sequence.free_tokens for sequence in sequences) - 1
        length = max(0, min(self.controller.length, max_length))
        drafts = dict(
            zip((slot.sequence for slot in drafted), self._draft(drafted, length), strict=True)
        )
        draft_s = time.perf_counter() - started
        if self.draft.model.backend.drafting_scales_with_rows:
            draft_s *= len(self._slots) / len(drafted)
        return Proposal(
            # Above temperature 0 tokens are drawn at random: a draft would be accepted by chance.
            [drafts.get(s, []) if s.temperature == 0 else [] for s in sequences],
            draft_s,
        )

    def record(self, proposal: Proposal, proposed: int, accepted: int, step_s: float) -> None:
        """Learn from a step with these drafts."""
        if proposal.length == 0:
            self.controller.record_baseline(step_s, len(self._slots))
            return
        self.controller.record_step(
            n_rows=len(self._slots),
            draft_length=proposal.length,
            proposed=proposed,
            accepted=accepted,
            draft_s=proposal.draft_s,
            verify_s=step_s,
        )

    def _encode_pending(self, slots: Sequence[DraftSlot]) -> None:
        """Encode the audio of the first slots, where that is not done yet."""
        n_encoded = 0
        started = time.perf_counter()
        for n, slot in enumerate(slots):
            if slot.pending is not None:
                self.draft.attach_audio(self.cache, n, slot.pending)
                slot.pending = None
                n_encoded += 1
        if n_encoded:
            # So that this time holds the encoding, and the next does not.
            self.draft.model.backend.synchronize()
        self.controller.record_encoding(n_encoded, time.perf_counter() - started)

    def _draft(self, slots: Sequence[DraftSlot], length: int) -> list[list[int]]:
        """Up to `length` next tokens of the first slots, in the target's ids."""
        eot = self.draft.model.tokenizer.eot
        written = [self.draft.to_draft_ids(slot.sequence.tokens) for slot in slots]
        drafts: list[list[int]] = [[] for _ in slots]
        is_open = [True] * len(slots)
        for _ in range(length):
            for n, token in enumerate(self._next_tokens(slots, written)):
                written[n].append(token)
                target = self.draft.to_target.get(token)
                if target is None or not is_open[n]:
                    is_open[n] = False
                    continue
                drafts[n].append(target)
                is_open[n] = token != eot
            if not any(is_open):
                break
        for slot in slots:
            # What was drafted may be rejected: only what is certain counts as read.
            slot.n_cached = min(slot.n_cached, slot.n_certain)
        return drafts

    def _next_tokens(
        self, slots: Sequence[DraftSlot], written: Sequence[Sequence[int]]
    ) -> list[int]:
        """The draft model's choice after what is `written` in each of the first slots."""
        model, device = self.draft.model, self.draft.model.backend.device
        histories = [
            [*slot.initial_tokens, *tokens] for slot, tokens in zip(slots, written, strict=True)
        ]
        # Rows that have less to read read their last tokens again, which changes nothing.
        n_columns = max(
            len(history) - slot.n_cached for slot, history in zip(slots, histories, strict=True)
        )
        positions = [
            [max(0, len(history) - n_columns + n) for n in range(n_columns)]
            for history in histories
        ]
        tokens = [
            [history[p] for p in row] for history, row in zip(histories, positions, strict=True)
        ]
        logits = model.decoder.step(
            torch.tensor(tokens, device=device),
            torch.tensor(positions, device=device),
            self.cache,
            self.cache.attention_length(max(len(history) for history in histories)),
            logits_from=n_columns - 1,
        )
        for slot, history in zip(slots, histories, strict=True):
            slot.n_cached = len(history)
        context = TextContext.after(written, model.tokenizer, device)
        chosen: list[int] = model.rules.choose(logits[:, 0], context).tokens.tolist()
        return chosen
