"""Batched decoding: slots, admission, one decoder step, completion; what happens without memory.

A finished window's slot is taken by the next that waits: the batch stays full, memory does not grow
with the audio, and a window that is decoded twice holds up no other (continuous batching: Yu et
al., "Orca: A Distributed Serving System for Transformer-Based Generative Models", 2022).
"""

from __future__ import annotations

import heapq
import logging
import time
from collections.abc import Iterator, Sequence

import torch

from speech_endpoint.errors import OutOfMemory
from speech_endpoint.memory import is_out_of_memory
from speech_endpoint.whisper.draft_length import DEFAULT_DRAFT_POLICY, DraftPolicy
from speech_endpoint.whisper.fallback import TEMPERATURES
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

logger = logging.getLogger(__name__)

# Windows admitted together: more gain nothing on a CPU and cost memory.
MAX_ADMISSION = 4


class Engine:
    """Decodes windows of any number of callers in one batch.

    What belongs to a caller hangs on the `RequestGroup` of its requests: a window's text does not
    depend on whose windows are decoded beside it.

    When memory runs out, the windows that are being decoded begin anew in half the slots. The
    engine has all its slots again when it has nothing to do any more.
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
            n_slots: windows decoded together; fewer where memory is short.
            draft: drafts for the groups that wish it.
            draft_policy: how to find out whether drafting pays.
        """
        self.model, self.draft, self.draft_policy = model, draft, draft_policy
        self.max_slots = self._n_slots = n_slots
        self._batch: Batch | None = None
        self._waiting: dict[RequestGroup, list[tuple[float, int, DecodeRequest]]] = {}
        """Heaps of (start, index, request), the group whose turn it is first."""
        self._decoding: dict[int, DecodeRequest] = {}
        """Taken from those that wait, and not done; by identity."""
        self._done: list[DecodeResult | MultilingualWindow] = []

    @property
    def busy(self) -> bool:
        """Whether any window waits or is being decoded."""
        return bool(self._waiting or self._decoding or self._done)

    def add(self, request: DecodeRequest) -> None:
        """Let a window wait for a slot. Groups take turns, and begin with their earliest windows:
        so a recording's text is final from its beginning on."""
        waiting = self._waiting.setdefault(request.group, [])
        heapq.heappush(waiting, (request.start_s, request.index, request))

    @torch.inference_mode()
    def step(self) -> list[DecodeResult | MultilingualWindow]:
        """Fill free slots, decode one step, and hand out what is done.

        Raises:
            OutOfMemory: not even one window fits; the engine then has nothing to do any more.
        """
        if not self._fits():
            self._begin_anew(self._n_slots // 2)
        elif self._n_slots < self.max_slots and not self._waiting and not self._decoding:
            self._batch, self._n_slots = None, self.max_slots
        done, self._done = self._done, []
        return done

    def _fits(self) -> bool:
        """Decode one step; false if memory ran out. The error, and with it the tensors that its
        traceback refers to, is forgotten on return."""
        try:
            self._step()
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            logger.warning("out of memory with %d slots: %s", self._n_slots, error)
            return False
        return True

    def _begin_anew(self, n_slots: int) -> None:
        """Let the windows that are being decoded wait again, for so many slots."""
        self._batch, self._n_slots = None, n_slots
        for request in self._decoding.values():
            self.add(request)
        self._decoding.clear()
        backend = self.model.backend
        backend.release_memory()
        if n_slots == 0:
            self._waiting.clear()
            self._n_slots = self.max_slots
            raise OutOfMemory(
                f"out of memory on {backend.device}, even with one window at a time (batch_size 1);"
                " set ASR_MODEL to a smaller model, or use a machine with more memory"
            )

    def _step(self) -> None:
        if self._batch is None:
            self._batch = self._new_batch()
        while self._waiting and self._batch.n_free:
            for window in self._batch.admit(self._next_requests(self._batch.n_free)):
                self._finish(window)
        if self._batch.sequences:
            self._batch.advance()
            for result in self._batch.finished():
                self._finish(result)

    def _new_batch(self) -> Batch:
        """A batch of as many slots as there is memory for."""
        slot_bytes = self.model.decoder.slot_bytes
        if self.draft:
            slot_bytes += self.draft.model.decoder.slot_bytes
        n_slots = self.model.backend.slots_that_fit(self._n_slots, slot_bytes)
        if n_slots < self._n_slots:
            logger.info("memory for %d slots of %d", n_slots, self._n_slots)
            self._n_slots = n_slots
        return Batch(self.model, n_slots, self.draft, self.draft_policy)

    def _next_requests(self, n_free: int) -> list[DecodeRequest]:
        """The first windows of the group whose turn it is, which then goes to the end."""
        group = next(iter(self._waiting))
        waiting = self._waiting.pop(group)
        n_requests = min(n_free, MAX_ADMISSION, len(waiting))
        requests = [heapq.heappop(waiting)[-1] for _ in range(n_requests)]
        if waiting:
            self._waiting[group] = waiting
        self._decoding.update((id(request), request) for request in requests)
        return requests

    def _finish(self, result: DecodeResult | MultilingualWindow) -> None:
        del self._decoding[id(result.request)]
        self._done.append(result)


class Batch:
    """Windows in their slots, and what works on them: given up as a whole when memory runs out."""

    def __init__(
        self,
        model: WhisperModel,
        n_slots: int,
        draft: DraftModel | None,
        draft_policy: DraftPolicy,
    ) -> None:
        """Arguments as in `Engine`."""
        self.model = model
        self.cache = model.decoder.new_cache(n_slots)
        self.prefill = Prefill(model, self.cache)
        self.stepper = DirectStepper(model, self.cache)
        self.speculation: Speculation | None = None
        if draft is not None:
            self.speculation = Speculation(draft, n_slots, draft_policy)
        self.sequences: list[ActiveSequence] = []
        """In the first slots, in order."""

    @property
    def n_free(self) -> int:
        return self.cache.n_slots - len(self.sequences)

    def admit(self, requests: Sequence[DecodeRequest]) -> list[MultilingualWindow]:
        """Fill free slots with windows of one group; those of two languages are handed back."""
        first = len(self.sequences)
        prefilled = self.prefill(requests, first)
        requests[0].group.statistics.encoder_s += prefilled.encoder_s
        self.sequences += prefilled.sequences
        if self.speculation:
            self.speculation.admit(prefilled)
        handed_back = [n for n in range(len(requests)) if prefilled.multilingual[n]]
        for n in reversed(handed_back):
            self._release(first + n)
        return [MultilingualWindow(requests[n]) for n in reversed(handed_back)]

    def advance(self) -> None:
        """One step of all sequences."""
        proposal = Proposal.none(len(self.sequences))
        if self.speculation:
            proposal = self.speculation.propose(self.sequences)
        started = time.perf_counter()
        steps = self.stepper.advance(self.sequences, proposal.drafts)
        proposed, accepted = self._write(proposal, steps)
        if self.speculation:
            step_s = time.perf_counter() - started
            self.speculation.record(proposal, proposed, accepted, step_s)

    def _write(self, proposal: Proposal, steps: Sequence[Accepted]) -> tuple[int, int]:
        """Append what a step says; how many draft tokens it compared, and accepted."""
        total_proposed = total_accepted = 0
        for sequence, draft, step in zip(self.sequences, proposal.drafts, steps, strict=True):
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
        for group in {sequence.group for sequence in self.sequences}:
            group.statistics.steps += 1
        return total_proposed, total_accepted

    def finished(self) -> Iterator[DecodeResult]:
        """Hand out, one by one, what is done, and free its slot; text that is not to be trusted is
        decoded again at the next temperature."""
        for row in reversed(range(len(self.sequences))):
            sequence = self.sequences[row]
            if not sequence.ended or self._goes_on(row):
                continue
            result = self._result(row)
            if sequence.best is None or result.quality.is_better_than(sequence.best.quality):
                sequence.best = result
            if result.quality.needs_fallback and _may_fall_back(sequence):
                self._restart(sequence)
            else:
                yield sequence.best
                self._release(row)

    def _restart(self, sequence: ActiveSequence) -> None:
        sequence.restart()
        sequence.group.statistics.fallbacks += 1
        if self.speculation:
            self.speculation.restart(sequence)

    def _goes_on(self, row: int) -> bool:
        """Whether a text that ended for its repetition is spoken, and is written on."""
        sequence = self.sequences[row]
        eot = self.model.tokenizer.eot
        return sequence.may_go_on(eot) and sequence.go_on(self._alignment(row), eot)

    def _result(self, row: int) -> DecodeResult:
        return self.sequences[row].result(self._alignment(row), self.model.tokenizer)

    def _alignment(self, row: int) -> torch.Tensor | None:
        """Where the heads looked when each token of a sequence, and the next, was written.

        An end of text is no token of it.
        """
        if not self.model.decoder.alignment_heads:
            return None
        sequence = self.sequences[row]
        first = len(sequence.initial_tokens) - 1
        last = first + len(sequence.written(self.model.tokenizer.eot)) + 1
        return self.model.decoder.alignment(self.cache, row, first, last)

    def _release(self, row: int) -> None:
        """Free a slot; the last sequence moves to it, so that the used slots come first."""
        sequence = self.sequences[row]
        last = self.sequences.pop()
        if row < len(self.sequences):
            self.cache.move(len(self.sequences), row, last.n_positions)
            self.sequences[row] = last
        if self.speculation:
            self.speculation.release(sequence)


def _may_fall_back(sequence: ActiveSequence) -> bool:
    return sequence.request.fallback and sequence.temperature_index + 1 < len(TEMPERATURES)
