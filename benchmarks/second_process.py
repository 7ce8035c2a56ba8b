"""faster-whisper in a process beside the one that measures.

CTranslate2's threads and PyTorch's in one process are more than there are processors; then libgomp lets them sleep
between parallel loops, and pyannote takes 6.8 s where it takes 3.9 s without. Two processes show both at their best.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.process import peak_mb

if TYPE_CHECKING:
    from benchmarks.peers import Recognised

# In the second process: what hears.
_loaded: list[Callable[[np.ndarray], Recognised]] = []


class SecondProcess:
    """A recogniser, with word times, that runs elsewhere; only waveforms and what was heard travel."""

    def __init__(self, mode: str, compute_type: str, threads: int) -> None:
        self.peak_mb = 0.0
        """The largest resident set of the second process so far, MiB."""
        self._pool = ProcessPoolExecutor(
            1,
            mp_context=get_context("spawn"),
            initializer=_load,
            initargs=(mode, compute_type, threads),
        )
        self.peak_mb = self._pool.submit(peak_mb).result()

    def __call__(self, waveform: np.ndarray) -> Recognised:
        heard, self.peak_mb = self._pool.submit(_recognise, waveform).result()
        return heard


def _load(mode: str, compute_type: str, threads: int) -> None:
    from benchmarks.peers import FasterWhisper, ctranslate2_directory

    model = FasterWhisper(ctranslate2_directory(), compute_type, threads)
    _loaded.append(partial(model.batched if mode == "batched" else model.sequential, words=True))


def _recognise(waveform: np.ndarray) -> tuple[Recognised, float]:
    return _loaded[0](waveform), peak_mb()
