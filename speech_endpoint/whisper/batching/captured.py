"""Steps that are recorded once and replayed, and looked at one step late.

A step of a large model is hundreds of kernels, whose launches take the host longer than a fast GPU
needs for the work. Replayed as one CUDA graph they cost one launch; and since a step is looked at
while the next one runs, the device never waits for the host. A row that has ended idles for the one
step that was under way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from speech_endpoint.memory import is_out_of_memory
from speech_endpoint.whisper.backends.recording import Recorder, Tensors
from speech_endpoint.whisper.batching.batch_state import BatchState, Written
from speech_endpoint.whisper.batching.recorded_drafts import RecordedDrafts
from speech_endpoint.whisper.batching.sequence import ActiveSequence
from speech_endpoint.whisper.batching.stepping import Report, advance, read
from speech_endpoint.whisper.model.cache import DecoderCache
from speech_endpoint.whisper.model.whisper import WhisperModel

# Rows of a recorded step: the least of these that holds the batch.
ROW_BUCKETS = (1, 2, 4, 8, 16, 24, 48)


class NotRecorded(Exception):
    """A device that does not record a step; it may still be issued directly."""


@dataclass(frozen=True, slots=True)
class _UnderWay:
    sequences: tuple[ActiveSequence, ...]
    temperatures: tuple[int, ...]
    n_drafted: int
    wait: Callable[[], Tensors]


class _Shape(NamedTuple):
    """What a recording is of."""

    n_rows: int
    length: int
    """Positions that the self-attention covers."""
    n_drafted: int


class CapturedStepper:
    """A `Stepper` that records a step for each shape when it is first needed."""

    def __init__(
        self,
        model: WhisperModel,
        cache: DecoderCache,
        state: BatchState,
        recorder: Recorder,
        drafts: RecordedDrafts | None = None,
    ) -> None:
        """
        Args:
            model: decodes.
            cache: of the batch.
            state: of the batch.
            recorder: the device's.
            drafts: for the sequences whose groups wish it, and then for those beside them.
        """
        self.model, self.cache, self.state, self.recorder = model, cache, state, recorder
        self.drafts = drafts
        self._recorded: dict[_Shape, tuple[Callable[[], None], Tensors]] = {}
        self._under_way: _UnderWay | None = None

    def advance(self, sequences: Sequence[ActiveSequence], n_positions: int) -> Report | None:
        """As in `Stepper`, of the step before.

        Raises:
            NotRecorded: nothing has been issued.
        """
        before, n_positions = self._under_way, n_positions + self.n_unseen
        n_rows = self._bucket(len(sequences))
        n_drafted = self._draft_length(sequences, n_rows, n_positions)
        replay, written = self._recording(n_rows, n_positions, n_drafted)
        replay()
        self._under_way = _UnderWay(
            tuple(sequences),
            tuple(sequence.temperature_index for sequence in sequences),
            n_drafted,
            self.recorder.fetch(written),
        )
        return _seen(before)

    def drain(self) -> Report | None:
        """As in `Stepper`."""
        before, self._under_way = self._under_way, None
        if self.drafts:
            self.drafts.fall_behind()
        return _seen(before)

    @property
    def n_unseen(self) -> int:
        """As in `Stepper`."""
        return 1 + self._under_way.n_drafted if self._under_way else 0

    def _bucket(self, n_rows: int) -> int:
        n_slots = self.cache.n_slots
        return min(n_slots, next((n for n in ROW_BUCKETS if n >= n_rows), n_slots))

    def _draft_length(
        self, sequences: Sequence[ActiveSequence], n_rows: int, n_positions: int
    ) -> int:
        """How many tokens the step drafts, for which the draft model has read what there is."""
        drafts = self.drafts
        if drafts is None:
            return 0
        n_drafted = 0
        if any(sequence.group.options.assisted for sequence in sequences):
            if drafts.lengths.needs_baseline(n_rows):
                self._recording(n_rows, n_positions, 0)
            n_drafted = drafts.lengths.choose(n_rows)
        if n_drafted:
            drafts.catch_up(sequences, n_positions)
        else:
            drafts.fall_behind()
        return n_drafted

    def _recording(
        self, n_rows: int, n_positions: int, n_drafted: int
    ) -> tuple[Callable[[], None], Tensors]:
        length = self.cache.attention_length(n_positions + n_drafted)
        shape = _Shape(n_rows, length, n_drafted)
        if shape not in self._recorded:
            with self._state_kept():
                self._recorded[shape] = self._record(shape)
                if self.drafts and self.drafts.lengths.learns:
                    step_s = self._time(self._recorded[shape][0])
                    self.drafts.lengths.record_time(n_rows, n_drafted, step_s)
        return self._recorded[shape]

    def _record(self, shape: _Shape) -> tuple[Callable[[], None], Tensors]:
        try:
            return self.recorder.record(partial(self._step, shape))
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            raise NotRecorded(str(error)) from error

    def _step(self, shape: _Shape) -> Tensors:
        if self.drafts and shape.n_drafted:
            drafts = self.drafts.choose(*shape)
        else:
            drafts = self.state.last.new_empty(shape.n_rows, 0)
        return advance(self.model, self.cache, self.state, drafts, shape.length).tensors

    def _time(self, replay: Callable[[], None]) -> float:
        """Seconds that a step takes: the least of some, as other threads may be at work."""
        backend, times = self.model.backend, []
        for _ in range(3):
            backend.synchronize()
            started = time.perf_counter()
            replay()
            backend.synchronize()
            times.append(time.perf_counter() - started)
        return min(times)

    @contextmanager
    def _state_kept(self) -> Iterator[None]:
        """Undo what steps that nobody asked for have written."""
        kept = [tensor.clone() for tensor in self.state.tensors]
        try:
            yield
        finally:
            for tensor, before in zip(self.state.tensors, kept, strict=True):
                tensor.copy_(before)


def _seen(step: _UnderWay | None) -> Report | None:
    if step is None:
        return None
    accepted = read(Written(*step.wait()), len(step.sequences))
    # Those that are drafted for unasked do not count it.
    n_drafted = tuple(
        step.n_drafted if sequence.group.options.assisted else 0 for sequence in step.sequences
    )
    return Report(step.sequences, step.temperatures, n_drafted, accepted)
