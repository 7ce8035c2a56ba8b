"""The work of all jobs, unit by unit, on one thread; which comes next, and what fails with what."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from speech_endpoint.errors import OutOfMemory
from speech_endpoint.pipeline import SpeechPipeline
from speech_endpoint.service.backlog import Backlog
from speech_endpoint.service.share import Share
from speech_endpoint.service.warm_up import decode_harmless
from speech_endpoint.service.work import Work
from speech_endpoint.units import Units
from speech_endpoint.whisper.batching.engine import Engine
from speech_endpoint.whisper.batching.sequence import (
    Caller,
    DecodeRequest,
    DecodeResult,
    MultilingualWindow,
)

# While windows are decoded, diarization gets so much of the thread's time, and looking for speech
# in the rest of long recordings; the first minutes of each are looked through when it comes.
DIARIZATION_SHARE = 0.3
VOICE_ACTIVITY_SHARE = 0.2
# After so many in a row the engine is tried with a window that is known to be harmless.
MAX_FAILED_STEPS = 3
# While windows are decoded, encoding those of long files gets so much: their first text comes
# sooner, and nobody's next token waits for the encoding of many windows of others.
LONG_SHARE = 0.4

Result = TypeVar("Result")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Unit(Generic[Result]):
    """What a unit of work has come to."""

    is_last: bool
    value: Result | None = None
    """The result, of the last one."""


def _next(units: Units[Result]) -> Unit[Result]:
    try:
        next(units)
    except StopIteration as end:
        return Unit(is_last=True, value=end.value)
    return Unit(is_last=False)


class EngineBroken(RuntimeError):
    """No step succeeds: the process is of no use any more."""


def _without(
    work: Work, waiting: Iterable[tuple[Work, Units[Result]]]
) -> deque[tuple[Work, Units[Result]]]:
    """What waits, without a job's units, which are closed."""
    kept = deque[tuple[Work, Units[Result]]]()
    for owner, units in waiting:
        if owner is work:
            units.close()
        else:
            kept.append((owner, units))
    return kept


class Scheduler:
    """Jobs that are at work. All calls come from one thread."""

    def __init__(
        self,
        pipeline: SpeechPipeline,
        n_slots: int,
        backlog: Backlog,
        post: Callable[[Callable[[], None]], None],
    ) -> None:
        """
        Args:
            pipeline: the models.
            n_slots: windows decoded together.
            backlog: is told how jobs get on, and how fast.
            post: has something done on this thread; may be called from any.
        """
        self.pipeline, self.backlog, self._post = pipeline, backlog, post
        transcriber = pipeline.transcriber
        self.engine = Engine(
            transcriber.model,
            n_slots,
            transcriber.draft,
            transcriber.draft_policy,
            long_share=LONG_SHARE,
        )
        self._works: dict[Caller, Work] = {}
        self._coming: deque[tuple[Work, Units[list[DecodeRequest]]]] = deque()
        """Jobs that no unit of has been done."""
        self._opening: deque[tuple[Work, Units[list[DecodeRequest]]]] = deque()
        """Jobs in whose recordings speech is looked for."""
        self._diarizing: deque[tuple[Work, Units[None]]] = deque()
        self._beside: dict[Caller, Future[None]] = {}
        """Jobs whose speakers are told apart on another thread."""
        self._voice_activity = Share(VOICE_ACTIVITY_SHARE)
        self._diarization = Share(DIARIZATION_SHARE)
        self._done_s = 0.0
        """Audio that this turn has done."""
        self._wordless_s = 0.0
        """What this turn took for who wants no words: it tells nothing of how fast these come."""
        self._n_failed_steps = 0

    @property
    def busy(self) -> bool:
        """Whether there is anything to do on this thread."""
        return bool(self._coming or self._opening or self._diarizing or self.engine.busy)

    def add(self, work: Work) -> None:
        """Take on a job."""
        self._works[work.caller] = work
        self._coming.append((work, work.open()))

    def cancel(self, work: Work) -> None:
        """Give up a job and free what it holds; one that is over, or unknown, is no mistake."""
        if self._works.pop(work.caller, None) is None:
            return
        self.engine.cancel(work.caller)
        self._coming = _without(work, self._coming)
        self._opening = _without(work, self._opening)
        self._diarizing = _without(work, self._diarizing)
        if future := self._beside.pop(work.caller, None):
            future.cancel()
        self.backlog.remove(work.handle)
        self.pipeline.hand_back_memory()

    def turn(self) -> None:
        """Do one unit of each kind that is due.

        Raises:
            EngineBroken: nothing can be decoded any more.
        """
        started = time.perf_counter()
        if self._coming:
            self._open_coming()
        elif self._opening and (self._voice_activity.is_due or not self.engine.busy):
            self._open_one(self._opening)
        if self.engine.busy:
            self._step()
        if self._diarizing and (self._diarization.is_due or not self.engine.busy):
            self._diarize_one()
        spent_s = time.perf_counter() - started - self._wordless_s
        self.backlog.measure(self._done_s, spent_s)
        self._done_s = self._wordless_s = 0.0

    def _open_coming(self) -> None:
        """Open a job, and short ones besides until the engine has windows to begin together."""
        self._open_one(self._coming)
        n_together = self.engine.model.backend.begun_together
        while (
            self._coming
            and self._coming[0][0].caller.is_short
            and self.engine.n_waiting < n_together
        ):
            self._open_one(self._coming)

    def _open_one(self, waiting: deque[tuple[Work, Units[list[DecodeRequest]]]]) -> None:
        work, units = waiting.popleft()
        started = time.perf_counter()
        unit = self._guarded(work, lambda: _next(units))
        self._voice_activity.spend(time.perf_counter() - started)
        if unit is None:
            return
        if not unit.is_last:
            self._opening.append((work, units))
            return
        for request in unit.value or ():
            self.engine.add(request)
        self.backlog.update(work.handle, work.left_s)
        if not work.is_diarized:
            self._begin_to_diarize(work)
        self._conclude_if_done(work)

    def _begin_to_diarize(self, work: Work) -> None:
        if self.pipeline.side_thread is None:
            self._diarizing.append((work, work.diarize()))
            return
        future = self.pipeline.side_thread.start(work.diarize())
        self._beside[work.caller] = future
        future.add_done_callback(lambda _: self._post(partial(self._on_diarized, work)))

    def _on_diarized(self, work: Work) -> None:
        if future := self._beside.pop(work.caller, None):
            self._guarded(work, future.result)
            self._conclude_if_done(work)

    def _diarize_one(self) -> None:
        work, units = self._diarizing.popleft()
        started = time.perf_counter()
        unit = self._guarded(work, lambda: _next(units))
        spent_s = time.perf_counter() - started
        self._diarization.spend(spent_s)
        if work.handle.request.wants == "speakers":
            self._wordless_s = spent_s
        if unit is not None and not unit.is_last:
            self._diarizing.append((work, units))
        else:
            self._conclude_if_done(work)

    def _step(self) -> None:
        started = time.perf_counter()
        try:
            results = self.engine.step()
        except OutOfMemory as error:
            # The engine has given up all windows there were.
            self._fail([work for work in self._works.values() if work.is_being_written], error)
            return
        except Exception as error:
            self._on_failed_step(self.engine.abandon(), error)
            return
        self._n_failed_steps = 0
        elapsed_s = time.perf_counter() - started
        for share in (self._voice_activity, self._diarization):
            share.earn(elapsed_s)
        self._hand_out(results)

    def _on_failed_step(self, callers: set[Caller], error: Exception) -> None:
        """Fail those whose windows were in it. A window that no step bears is its caller's
        misfortune, however many such callers come in a row: the engine is given up when it cannot
        decode what it decoded when it began."""
        logger.error(
            "a decoding step failed; %d requests fail with it", len(callers), exc_info=error
        )
        self._fail([self._works[caller] for caller in callers], error)
        self._n_failed_steps += 1
        if self._n_failed_steps < MAX_FAILED_STEPS:
            return
        self._n_failed_steps = 0
        try:
            decode_harmless(self.pipeline.transcriber)
        except Exception:
            raise EngineBroken("not even a harmless window can be decoded") from error

    def _hand_out(self, results: list[DecodeResult | MultilingualWindow]) -> None:
        by_work: dict[Caller, list[DecodeResult | MultilingualWindow]] = {}
        for result in results:
            by_work.setdefault(result.request.group.caller, []).append(result)
        for caller, own in by_work.items():
            work = self._works[caller]
            left_before_s = work.left_s
            requests = self._guarded(work, partial(work.on_results, own))
            if requests is None:
                continue
            for request in requests:
                self.engine.add(request)
            self._done_s += max(0.0, left_before_s - work.left_s)
            self.backlog.update(work.handle, work.left_s)
            self._conclude_if_done(work)

    def _conclude_if_done(self, work: Work) -> None:
        if work.caller in self._works and work.is_written and work.is_diarized:
            self._guarded(work, work.conclude)
            self.cancel(work)

    def _fail(self, works: list[Work], error: Exception) -> None:
        for work in works:
            work.fail(error)
            self.cancel(work)

    def _guarded(self, work: Work, unit: Callable[[], Result]) -> Result | None:
        """Do a unit of one job; if it fails, the job fails, and no other."""
        try:
            return unit()
        except Exception as error:
            logger.debug("request %s failed", work.handle.request_id, exc_info=True)
            self._fail([work], error)
            return None
