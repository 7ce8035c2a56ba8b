"""Who speaks when: the CPU's answer against the GPU's, and where the time of an hour goes."""

from __future__ import annotations

import cProfile
import pstats
import sys
import types
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.gpu.measure import HOUR_S, Bench
from benchmarks.gpu.tokens import PACKED, ROOT, recordings
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Diarization, Waveform

FRAMES_A_SECOND = 100
HOUR_OF = "four_speakers"
# What pyannote.audio imports and nobody here uses, and a bare machine has not.
UNUSED = (
    "optuna", "optuna.exceptions", "optuna.logging", "optuna.pruners", "optuna.samplers",
    "optuna.storages", "optuna.storages.journal", "optuna.trial", "opentelemetry",
    "opentelemetry.exporter", "opentelemetry.exporter.otlp", "opentelemetry.exporter.otlp.proto",
    "opentelemetry.exporter.otlp.proto.http",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter", "opentelemetry.sdk",
    "opentelemetry.sdk.trace", "opentelemetry.sdk.trace.export",
)  # fmt: skip


class StandIn(types.ModuleType):
    """A package whose every name is a class that does nothing."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name.endswith("Warning"):
            return Warning
        return sys.modules.get(f"{self.__name__}.{name}") or type(name, (_Nothing,), {})


class _Nothing:
    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


def _stand_in() -> None:
    if not (PACKED / "site").is_dir():
        return
    for name in UNUSED:
        sys.modules.setdefault(name, StandIn(name))
    logging: Any = sys.modules["optuna.logging"]
    logging.set_verbosity, logging.WARNING = (lambda *_: None), 0


@cache
def _diarizer(device: str) -> Any:
    """The bundle, packed or as `make models` builds it."""
    _stand_in()
    from speech_endpoint.diarization.diarizer import Diarizer

    packed = PACKED / "speakers"
    directory: Path = packed if packed.is_dir() else ROOT / "models" / "speaker-diarization"
    return Diarizer(str(directory), token=None, device=device)


def speakers(bench: Bench) -> None:
    """The share of speech in which two devices differ."""
    for name, waveform in [*recordings().items()][: 1 if bench.small else None]:
        answers, seconds = {}, {}
        for device in ("cpu", str(bench.device)):
            diarize, before_s = _diarizer(device), bench.elapsed_s
            answers[device] = _talks(diarize(waveform), waveform)
            seconds[device] = round(bench.elapsed_s - before_s, 2)
        theirs, ours = answers["cpu"], answers[str(bench.device)]
        bench.say(f"speakers, {name}", seconds=seconds, apart=round(apart(theirs, ours), 4),
                  speakers=(theirs.shape[1], ours.shape[1]))  # fmt: skip


def speakers_hour(bench: Bench) -> None:
    """Seconds of an hour; of this project's functions by the time that the host spends in them."""
    diarize = _diarizer(str(bench.device))
    some = recordings()
    waveform = some.get(HOUR_OF, next(iter(some.values())))
    seconds = 20 if bench.small else HOUR_S
    n_samples = int(seconds * SAMPLE_RATE_HZ)
    waveform = np.tile(waveform, n_samples // waveform.size + 1)[:n_samples]
    diarize(waveform[: 60 * SAMPLE_RATE_HZ])
    bench.forget_peak()
    profile, before_s = cProfile.Profile(), bench.elapsed_s
    profile.enable()
    diarize(waveform)
    bench.wait()
    profile.disable()
    spent_s = bench.elapsed_s - before_s
    bench.say(f"speakers, {seconds:.0f} s", seconds=round(spent_s, 2),
              RTFx=round(seconds / spent_s), peak_gib=bench.peak_gib(),
              host_s=_by_function(profile))  # fmt: skip


def _by_function(profile: cProfile.Profile, n_functions: int = 16) -> dict[str, float]:
    stats: Any = pstats.Stats(profile)
    spent = {
        f"{Path(file).name}:{name}": figures[3]
        for (file, _, name), figures in stats.stats.items()
        if "diarization" in Path(file).parts
    }
    longest = sorted(spent.items(), key=lambda item: -item[1])[:n_functions]
    return {name: round(seconds, 2) for name, seconds in longest}


def _talks(diarization: Diarization, waveform: Waveform) -> npt.NDArray[np.bool_]:
    """Who talks when, (frames of 10 ms, speakers)."""
    names = sorted({turn.speaker for turn in diarization.turns})
    n_frames = waveform.size * FRAMES_A_SECOND // SAMPLE_RATE_HZ + 1
    talks = np.zeros((n_frames, max(1, len(names))), bool)
    for turn in diarization.turns:
        first, last = (round(time_s * FRAMES_A_SECOND) for time_s in (turn.start, turn.end))
        talks[first:last, names.index(turn.speaker)] = True
    return talks


def apart(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> float:
    """The share of speech in which two answers differ, speakers matched; 0 where nobody speaks."""
    from scipy.optimize import linear_sum_assignment

    together = one.T.astype(float) @ other.astype(float)
    agreed = together[linear_sum_assignment(-together)].sum()
    return float(1 - agreed / max(one.sum(), other.sum())) if one.any() or other.any() else 0.0
