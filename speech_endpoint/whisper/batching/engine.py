"""Batched decoding: slots, admission, one decoder step; what happens without memory.

A finished window's slot is taken by the next that waits: the batch stays full, memory does not grow
with the audio, and a window that is decoded twice holds up no other (continuous batching: Yu et
al., "Orca: A Distributed Serving System for Transformer-Based Generative Models", 2022).
"""

from __future__ import annotations

import logging
import time
import weakref
from collections import Counter

import torch

from speech_endpoint.errors import OutOfMemory
from speech_endpoint.memory import is_out_of_memory
from speech_endpoint.whisper.batching.admission import WaitingWindows
from speech_endpoint.whisper.batching.batch import Batch
from speech_endpoint.whisper.batching.draft_length import DEFAULT_DRAFT_POLICY, DraftPolicy
from speech_endpoint.whisper.batching.sequence import (
    Caller,
    DecodeRequest,
    DecodeResult,
    DecodingStatistics,
    MultilingualWindow,
)
from speech_endpoint.whisper.batching.speculation import DraftModel
from speech_endpoint.whisper.model.whisper import WhisperModel

logger = logging.getLogger(__name__)


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
        long_share: float | None = None,
    ) -> None:
        """
        Args:
            model: decodes.
            n_slots: windows decoded together; fewer where memory is short.
            draft: drafts for the groups that wish it.
            draft_policy: how to find out whether drafting pays.
            long_share: of the time, what goes into encoding windows of callers who have many, while
                windows are decoded of somebody who has few, or has had no text yet. With a share,
                windows are admitted one a step, or those of several callers who have few; with None
                slots are filled at once, which takes the fewest steps.
        """
        self.model, self.draft, self.draft_policy = model, draft, draft_policy
        # Where windows are admitted together, encoding them takes less than a step.
        self.long_share = None if model.backend.awaits_room else long_share
        self._long_debt_s = 0.0
        """What encoding for callers of many windows has had beyond its share."""
        self._begun = weakref.WeakSet[Caller]()
        """Callers a window of whom is done."""
        self.totals = DecodingStatistics()
        """Of all callers' windows."""
        self.n_windows = 0
        """Decoded, all callers'."""
        self.max_slots = self._n_slots = n_slots
        self._batch: Batch | None = None
        self._waiting = WaitingWindows()
        self._decoding: dict[int, DecodeRequest] = {}
        """Taken from those that wait, and not done; by identity."""
        self._done: list[DecodeResult | MultilingualWindow] = []
        self._admitting: list[DecodeRequest] = []
        self._suspects: set[Caller] = set()
        """Callers whose windows could not be begun together: each is tried alone."""

    @property
    def busy(self) -> bool:
        """Whether any window waits or is being decoded."""
        return bool(self._waiting or self._decoding or self._done)

    @property
    def n_decoding(self) -> int:
        """Windows that have a slot."""
        return len(self._decoding)

    @property
    def n_waiting(self) -> int:
        """Windows that wait for one."""
        return len(self._waiting)

    @property
    def n_slots(self) -> int:
        """Windows that may have one."""
        return self._n_slots

    def add(self, request: DecodeRequest) -> None:
        """Let a window wait for a slot."""
        self._waiting.add(request)

    @torch.inference_mode()
    def cancel(self, caller: Caller) -> None:
        """Give up a caller's windows, those that wait and those that are being decoded."""
        self._waiting.drop(caller)
        self._suspects.discard(caller)
        if self._batch is not None:
            self._batch.cancel(caller)
        kept = {k: r for k, r in self._decoding.items() if r.group.caller is not caller}
        self._decoding = kept
        self._done = [done for done in self._done if done.request.group.caller is not caller]

    def abandon(self) -> set[Caller]:
        """Give up all windows that are being decoded, after a step has failed, or only those that
        were being begun when it did; those that wait go on waiting.

        Returns:
            Whose they are.
        """
        if self._admitting:
            callers = {request.group.caller for request in self._admitting}
            for request in self._admitting:
                del self._decoding[id(request)]
            self._admitting = []
            return callers
        callers = {request.group.caller for request in self._decoding.values()}
        self._batch = None
        self._decoding.clear()
        return callers

    @torch.inference_mode()
    def step(self) -> list[DecodeResult | MultilingualWindow]:
        """Fill free slots, decode one step, and hand out what is done: where the device works
        while the host goes on, what was done before this step.

        Raises:
            OutOfMemory: not even one window fits; the engine then has nothing to do any more.
            Exception: whatever went wrong; `abandon` then, and go on.
        """
        n_before = len(self._done)
        if not self._fits():
            self._begin_anew(self._n_slots // 2)
        elif self._n_slots < self.max_slots and not self._waiting and not self._decoding:
            self._batch, self._n_slots = None, self.max_slots
        n_due = n_before if self.model.backend.is_asynchronous else len(self._done)
        due, self._done = self._done[:n_due], self._done[n_due:]
        return due

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
        self._batch, self._n_slots, self._admitting = None, n_slots, []
        for request in self._decoding.values():
            self.add(request)
        self._decoding.clear()
        backend = self.model.backend
        backend.release_memory()
        if n_slots == 0:
            self._waiting.clear()
            self._done.clear()
            self._n_slots = self.max_slots
            raise OutOfMemory(
                f"out of memory on {backend.device}, even with one window at a time (batch_size 1);"
                " set ASR_MODEL to a smaller model, or use a machine with more memory"
            )

    def _step(self) -> None:
        if self._batch is None:
            self._batch = self._new_batch()
        while self._is_worth_admitting(self._batch.n_free):
            requests = self._next_requests(self._batch.n_free)
            if not requests:
                break
            started = time.perf_counter()
            self._admit(self._batch, requests)
            if self.long_share is not None:
                if not requests[0].group.caller.is_short:
                    self._long_debt_s += time.perf_counter() - started
                break
        if self._batch.sequences:
            started = time.perf_counter()
            self._batch.advance()
            for result in self._batch.finished():
                self._finish(result)
            self._pay_debt(time.perf_counter() - started)

    def _is_worth_admitting(self, n_free: int) -> bool:
        """Whether windows are admitted now, or wait for more room."""
        backend = self.model.backend
        n_awaited = backend.begun_together if backend.awaits_room else 1
        return len(self._waiting) > 0 and n_free >= min(
            n_awaited, self._n_slots, len(self._waiting)
        )

    def _admit(self, batch: Batch, requests: list[DecodeRequest]) -> None:
        callers = {request.group.caller for request in requests}
        self._admitting = requests
        try:
            windows = batch.admit(requests)
        except Exception as error:
            if len(callers) == 1 or is_out_of_memory(error):
                raise
            self._suspects |= callers
            for request in requests:
                self._waiting.add(self._decoding.pop(id(request)))
            windows = []
        else:
            self._suspects -= callers
        self._admitting = []
        for window in windows:
            self._finish(window)

    def _pay_debt(self, step_s: float) -> None:
        if self.long_share is not None:
            earned_s = step_s * self.long_share / (1 - self.long_share)
            self._long_debt_s = max(0.0, self._long_debt_s - earned_s)

    def _new_batch(self) -> Batch:
        """A batch of as many slots as there is memory for."""
        slot_bytes = self.model.decoder.slot_bytes
        if self.draft:
            slot_bytes += self.draft.model.decoder.slot_bytes
        n_slots = self.model.backend.slots_that_fit(self._n_slots, slot_bytes)
        if n_slots < self._n_slots:
            logger.info("memory for %d slots of %d", n_slots, self._n_slots)
            self._n_slots = n_slots
        return Batch(self.model, n_slots, self.draft, self.draft_policy, self.totals)

    def _next_requests(self, n_free: int) -> list[DecodeRequest]:
        backend, is_paced = self.model.backend, self.long_share is not None
        only_short = self._long_debt_s > 0 and self._is_anybody_in_a_hurry()
        are_joined = (is_paced or backend.awaits_room) and not self._suspects
        n_at_once = min(n_free, backend.begun_together) if are_joined else 1
        requests = self._take(1 if is_paced else n_free, only_short=only_short)
        while requests and len(requests) < n_at_once:
            if is_paced and not requests[-1].group.caller.is_short:
                break
            n_more = 1 if is_paced else n_at_once - len(requests)
            if not (others := self._take(n_more, only_short=is_paced)):
                break
            requests += others
        return requests

    def _take(self, n_free: int, *, only_short: bool = False) -> list[DecodeRequest]:
        held = Counter(request.group.caller for request in self._decoding.values())
        requests = self._waiting.take(n_free, self._n_slots, held, only_short=only_short)
        self._decoding.update((id(request), request) for request in requests)
        return requests

    def _is_anybody_in_a_hurry(self) -> bool:
        """Whether windows are decoded of somebody who has few, or has had no text yet."""
        callers = {request.group.caller for request in self._decoding.values()}
        return any(caller.is_short or caller not in self._begun for caller in callers)

    def _finish(self, result: DecodeResult | MultilingualWindow) -> None:
        del self._decoding[id(result.request)]
        self._begun.add(result.request.group.caller)
        self.n_windows += 1
        self._done.append(result)
