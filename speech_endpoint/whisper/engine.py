"""Batched decoding: slots, admission, one decoder step, completion.

A finished window's slot is taken by the next that waits: the batch stays full, memory does not grow
with the audio, and a window that is decoded twice holds up no other (continuous batching: Yu et
al., "Orca: A Distributed Serving System for Transformer-Based Generative Models", 2022).
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Sequence

import torch

from speech_endpoint.whisper.draft_length import DEFAULT_DRAFT_POLICY, DraftPolicy
from speech_endpoint.whisper.fallback import (
    TEMPERATURES,
    TextQuality,
    compression_ratio,
    repetition_start,
)
from speech_endpoint.whisper.model.whisper import WhisperModel
from speech_endpoint.whisper.prefill import Prefill
from speech_endpoint.whisper.sequence import (
    ActiveSequence,
    DecodeRequest,
    DecodeResult,
    MultilingualWindow,
    RequestGroup,
)
from speech_endpoint.whisper.speculation import DraftModel, Proposal, Speculation
from speech_endpoint.whisper.stepping import Accepted, DirectStepper

# Windows admitted together: more gain nothing on a CPU and cost memory.
MAX_ADMISSION = 4


class Engine:
    """Decodes windows of any number of callers in one batch.

    What belongs to a caller hangs on the `RequestGroup` of its requests: a window's text does not
    depend on whose windows are decoded beside it.
    """

    def __init__(
        self,
        model: WhisperModel,
        n_slots: int,
        draft: DraftModel | None = None,
        draft_policy: DraftPolicy = DEFAULT_DRAFT_POLICY,
    ) -> None:
        """
        Args:
            model: decodes.
            n_slots: windows decoded together.
            draft: drafts for the groups that wish it.
            draft_policy: how to find out whether drafting pays.
        """
        self.model = model
        self.cache = model.decoder.new_cache(n_slots)
        self.prefill = Prefill(model, self.cache)
        self.stepper = DirectStepper(model, self.cache)
        self.speculation: Speculation | None = None
        if draft is not None:
            self.speculation = Speculation(draft, n_slots, draft_policy)
        self._waiting: dict[RequestGroup, list[tuple[float, int, DecodeRequest]]] = {}
        """Heaps of (start, index, request), the group whose turn it is first."""
        self._active: list[ActiveSequence] = []

    @property
    def busy(self) -> bool:
        """Whether any window waits or is being decoded."""
        return bool(self._waiting or self._active)

    def add(self, request: DecodeRequest) -> None:
        """Let a window wait for a slot. Groups take turns, and begin with their earliest windows:
        so a recording's text is final from its beginning on."""
        waiting = self._waiting.setdefault(request.group, [])
        heapq.heappush(waiting, (request.start_s, request.index, request))

    @torch.inference_mode()
    def step(self) -> list[DecodeResult | MultilingualWindow]:
        """Fill free slots, decode one step, and hand out what is done."""
        results: list[DecodeResult | MultilingualWindow] = list(self._admit())
        if self._active:
            self._advance()
            results += self._complete()
        return results

    # Admission

    def _admit(self) -> list[MultilingualWindow]:
        """Fill free slots; windows of two languages are handed back."""
        handed_back: list[MultilingualWindow] = []
        while self._waiting and len(self._active) < self.cache.n_slots:
            requests = self._next_requests(self.cache.n_slots - len(self._active))
            first = len(self._active)
            prefilled = self.prefill(requests, first)
            requests[0].group.statistics.encoder_s += prefilled.encoder_s
            self._active += prefilled.sequences
            if self.speculation:
                self.speculation.admit(prefilled)
            for n in reversed(range(len(requests))):
                if prefilled.multilingual[n]:
                    self._release(first + n)
                    handed_back.append(MultilingualWindow(requests[n]))
        return handed_back

    def _next_requests(self, n_free: int) -> list[DecodeRequest]:
        """The first windows of the group whose turn it is, which then goes to the end."""
        group = next(iter(self._waiting))
        waiting = self._waiting.pop(group)
        n_requests = min(n_free, MAX_ADMISSION, len(waiting))
        requests = [heapq.heappop(waiting)[-1] for _ in range(n_requests)]
        if waiting:
            self._waiting[group] = waiting
        return requests

    # Decoding

    def _advance(self) -> None:
        """One step of all sequences."""
        proposal = Proposal.none(len(self._active))
        if self.speculation:
            proposal = self.speculation.propose(self._active)
        started = time.perf_counter()
        steps = self.stepper.advance(self._active, proposal.drafts)
        proposed, accepted = self._write(proposal, steps)
        if self.speculation:
            step_s = time.perf_counter() - started
            self.speculation.record(proposal, proposed, accepted, step_s)

    def _write(self, proposal: Proposal, steps: Sequence[Accepted]) -> tuple[int, int]:
        """Append what a step says; how many draft tokens it compared, and accepted."""
        total_proposed = total_accepted = 0
        for sequence, draft, step in zip(self._active, proposal.drafts, steps, strict=True):
            proposed = min(len(draft), step.n_accepted + 1)
            statistics = sequence.group.statistics
            statistics.row_steps += 1
            statistics.proposed += proposed
            statistics.accepted += step.n_accepted
            statistics.tokens += sequence.append(
                step.tokens, step.log_probabilities, self.model.tokenizer.eot
            )
            total_proposed += proposed
            total_accepted += step.n_accepted
        for group in {sequence.group for sequence in self._active}:
            group.statistics.steps += 1
        return total_proposed, total_accepted

    # Completion

    def _complete(self) -> list[DecodeResult]:
        """What is done; text that is not to be trusted is decoded again at the next temperature."""
        results = []
        for row in reversed(range(len(self._active))):
            sequence = self._active[row]
            if not sequence.ended:
                continue
            result = self._result(row)
            if sequence.best is None or result.quality.is_better_than(sequence.best.quality):
                sequence.best = result
            if result.quality.needs_fallback and _may_fall_back(sequence):
                self._restart(sequence)
            else:
                results.append(sequence.best)
                self._release(row)
        return results

    def _restart(self, sequence: ActiveSequence) -> None:
        sequence.restart()
        sequence.group.statistics.fallbacks += 1
        if self.speculation:
            self.speculation.restart(sequence)

    def _result(self, row: int) -> DecodeResult:
        sequence, tokenizer = self._active[row], self.model.tokenizer
        tokens = sequence.tokens
        if tokens[-1] == tokenizer.eot:
            tokens = tokens[:-1]
        if sequence.repeats_itself:
            tokens = _cut_repetition(tokens, tokenizer.eot)
        alignment = None
        if self.model.decoder.alignment_heads:
            first = len(sequence.initial_tokens) - 1
            last = first + len(tokens) + 1
            alignment = self.model.decoder.alignment(self.cache, row, first, last).cpu()
        log_probabilities = tuple(sequence.log_probabilities[: len(tokens)])
        quality = TextQuality(
            # The end of text counts as one of the tokens, as in openai/whisper.
            mean_log_probability=sum(log_probabilities) / (len(log_probabilities) + 1),
            compression_ratio=compression_ratio(tokenizer.decode(tokens)),
            repeats_itself=sequence.repeats_itself,
            no_speech_probability=sequence.no_speech_probability,
        )
        return DecodeResult(
            request=sequence.request,
            language=sequence.language,
            tokens=tuple(tokens),
            log_probabilities=log_probabilities,
            quality=quality,
            temperature=sequence.temperature,
            alignment=alignment,
        )

    def _release(self, row: int) -> None:
        """Free a slot; the last sequence moves to it, so that the used slots come first."""
        sequence = self._active[row]
        last = self._active.pop()
        if row < len(self._active):
            self.cache.move(len(self._active), row, last.n_positions)
            self._active[row] = last
        if self.speculation:
            self.speculation.release(sequence)


def _may_fall_back(sequence: ActiveSequence) -> bool:
    return sequence.request.fallback and sequence.temperature_index + 1 < len(TEMPERATURES)


def _cut_repetition(tokens: list[int], eot: int) -> list[int]:
    """The tokens up to where the text begins to repeat itself."""
    text_at = [n for n, token in enumerate(tokens) if token < eot]
    start = repetition_start([tokens[n] for n in text_at])
    return tokens if start is None else tokens[: text_at[start]]
