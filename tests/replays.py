"""Graphs without the graph: a CPU that records steps, and replays them by calling them again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from speech_endpoint.whisper.backends.cpu import CpuBackend
from speech_endpoint.whisper.backends.recording import Recorder, Tensors
from speech_endpoint.whisper.batching.draft_length import DEFAULT_DRAFT_POLICY, DraftPolicy
from speech_endpoint.whisper.batching.engine import Engine
from speech_endpoint.whisper.batching.sequence import (
    DecodeOptions,
    DecodeRequest,
    DecodeResult,
    RequestGroup,
)
from speech_endpoint.whisper.batching.speculation import DraftModel
from speech_endpoint.whisper.model.encoder import Encoder
from speech_endpoint.whisper.model.whisper import WhisperModel


class Replays:
    """Does recorded work again by calling it, into the tensors that it first wrote to."""

    def __init__(self) -> None:
        self.n_recorded = self.n_replayed = 0

    def record(self, work: Callable[[], Tensors]) -> tuple[Callable[[], None], Tensors]:
        written = work()
        addresses = [tensor.data_ptr() for tensor in written]
        self.n_recorded += 1

        def replay() -> None:
            self.n_replayed += 1
            for static, now in zip(written, work(), strict=True):
                static.copy_(now)
            assert addresses == [tensor.data_ptr() for tensor in written]

        return replay, written

    def fetch(self, written: Tensors) -> Callable[[], Tensors]:
        copies = tuple(tensor.clone() for tensor in written)
        return lambda: copies


class ReplayingBackend(CpuBackend):
    is_asynchronous = True

    def __init__(self) -> None:
        super().__init__("float32", "none")
        self.replays = Replays()
        self.steps_meanwhile: list[int] = []
        """Issued between the end of each window and its words' being timed."""

    def recorder(self) -> Recorder:
        return self.replays

    def later(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """At once, as on a device: what it reads may change."""
        found, n_replayed = work().clone(), self.replays.n_replayed
        return lambda: self._fetched(found, n_replayed)

    def _fetched(self, found: Tensor, n_replayed: int) -> Tensor:
        self.steps_meanwhile.append(self.replays.n_replayed - n_replayed)
        return found


class RememberingEncoder:
    """An encoder that encodes a window once, whoever asks."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.features: dict[bytes, Tensor] = {}

    def __call__(self, log_mel: Tensor) -> Tensor:
        return torch.cat([self._encoded(window) for window in log_mel.split(1)])

    def _encoded(self, window: Tensor) -> Tensor:
        key = window.numpy().tobytes()
        if key not in self.features:
            self.features[key] = self.encoder(window)
        return self.features[key]


def decode(
    model: WhisperModel,
    windows: Sequence[np.ndarray],
    n_slots: int,
    draft: DraftModel | None = None,
    policy: DraftPolicy = DEFAULT_DRAFT_POLICY,
    *,
    fallback: bool = False,
    groups: Sequence[RequestGroup] = (),
) -> dict[int, DecodeResult]:
    """Some of the windows come when the others are under way; groups take turns."""
    engine = Engine(model, n_slots, draft, policy)
    groups = groups or [RequestGroup(DecodeOptions(assisted=draft is not None))]
    requests = [
        DecodeRequest(groups[n % len(groups)], n, float(n), (window,), fallback=fallback)
        for n, window in enumerate(windows)
    ]
    for request in requests[:3]:
        engine.add(request)
    found: dict[int, DecodeResult] = {}
    n_steps = 0
    while engine.busy:
        for result in engine.step():
            assert isinstance(result, DecodeResult)
            found[result.request.index] = result
        n_steps += 1
        if n_steps == 2:
            for request in requests[3:]:
                engine.add(request)
    return found
