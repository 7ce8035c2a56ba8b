"""Steps that are recorded once and replayed, and looked at one step late.

A step of a large model is hundreds of kernels, whose launches take the host longer than a fast GPU
needs for the work. Replayed as one CUDA graph they cost one launch; and since a step is looked at
while the next one runs, the device never waits for the host. A row that has ended idles for the one
step that was under way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from speech_endpoint.memory import is_out_of_memory
from speech_endpoint.whisper.backends.recording import Recorder, Tensors
from speech_endpoint.whisper.batching.batch_state import BatchState, Written
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
    wait: Callable[[], Tensors]


class CapturedStepper:
    """A `Stepper` that records a step for each (rows, length) when it is first needed."""

    def __init__(
        self, model: WhisperModel, cache: DecoderCache, state: BatchState, recorder: Recorder
    ) -> None:
        """
        Args:
            model: decodes.
            cache: of the batch.
            state: of the batch.
            recorder: the device's.
        """
        self.model, self.cache, self.state, self.recorder = model, cache, state, recorder
        self._recorded: dict[tuple[int, int], tuple[Callable[[], None], Tensors]] = {}
        self._under_way: _UnderWay | None = None

    def advance(self, sequences: Sequence[ActiveSequence], n_positions: int) -> Report | None:
        """As in `Stepper`, of the step before.

        Raises:
            NotRecorded: nothing has been issued.
        """
        n_unseen = 1 if self._under_way else 0
        n_rows = self._bucket(len(sequences))
        length = self.cache.attention_length(n_positions + n_unseen)
        if (n_rows, length) not in self._recorded:
            self._recorded[n_rows, length] = self._record(n_rows, length)
        replay, written = self._recorded[n_rows, length]
        replay()
        before, self._under_way = (
            self._under_way,
            _UnderWay(
                tuple(sequences),
                tuple(sequence.temperature_index for sequence in sequences),
                self.recorder.fetch(written),
            ),
        )
        return _seen(before)

    def drain(self) -> Report | None:
        """As in `Stepper`."""
        before, self._under_way = self._under_way, None
        return _seen(before)

    def _bucket(self, n_rows: int) -> int:
        n_slots = self.cache.n_slots
        return min(n_slots, next((n for n in ROW_BUCKETS if n >= n_rows), n_slots))

    def _record(self, n_rows: int, length: int) -> tuple[Callable[[], None], Tensors]:
        drafts = torch.empty(n_rows, 0, dtype=torch.long, device=self.model.backend.device)
        kept = [tensor.clone() for tensor in self.state.tensors]
        try:
            return self.recorder.record(
                lambda: advance(self.model, self.cache, self.state, drafts, length).tensors
            )
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            raise NotRecorded(str(error)) from error
        finally:
            for tensor, before in zip(self.state.tensors, kept, strict=True):
                tensor.copy_(before)


def _seen(step: _UnderWay | None) -> Report | None:
    if step is None:
        return None
    accepted = read(Written(*step.wait()), len(step.sequences))
    return Report(step.sequences, step.temperatures, (0,) * len(accepted), accepted)
