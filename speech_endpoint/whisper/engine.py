"""Batched decoding: who waits for a slot, and what happens without memory.

A finished window's slot is taken by the next that waits: the batch stays full, memory does not grow
with the audio, and a window that is decoded twice holds up no other (continuous batching: Yu et
al., "Orca: A Distributed Serving System for Transformer-Based Generative Models", 2022).
"""

from __future__ import annotations

import heapq
import logging

import torch

from speech_endpoint.errors import OutOfMemory
from speech_endpoint.memory import is_out_of_memory
from speech_endpoint.whisper.batch import Batch
from speech_endpoint.whisper.draft_length import DEFAULT_DRAFT_POLICY, DraftPolicy
from speech_endpoint.whisper.model.whisper import WhisperModel
from speech_endpoint.whisper.sequence import (
    DecodeRequest,
    DecodeResult,
    MultilingualWindow,
    RequestGroup,
)
from speech_endpoint.whisper.speculation import DraftModel

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
