"""One engine thread and one running batch, for all callers of a process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable

from speech_endpoint.audio.decoding.sandbox import DecodedAudio
from speech_endpoint.config import ModelSettings
from speech_endpoint.errors import InvalidSettings, ModelUnavailable
from speech_endpoint.pipeline import SpeechPipeline
from speech_endpoint.reception import Request
from speech_endpoint.service.backlog import Backlog, ServiceLimits
from speech_endpoint.service.decoding import DecodingStage
from speech_endpoint.service.events import (
    EngineTotals,
    Failed,
    Progress,
    ServiceStatus,
    Stage,
    Unavailable,
)
from speech_endpoint.service.handle import Handle
from speech_endpoint.service.scheduler import EngineBroken, Scheduler
from speech_endpoint.service.warm_up import warm_up
from speech_endpoint.service.work import Work
from speech_endpoint.whisper.batching.engine import Engine

LOADING_RETRY_S = 5.0
DRAINING_RETRY_S = 10.0
CLOSING_S = 5.0
WARM_UP_WORK_S = 10.0
"""The speed that warm-up measures counts as much as so many seconds of work."""

logger = logging.getLogger(__name__)

Message = Callable[[], None]


class ResidentService:
    """`Service`: models live on a thread of its own, which does the work of all jobs by units.

    Files are decoded elsewhere. `start` first; `close` at the end.
    """

    def __init__(
        self,
        settings: ModelSettings,
        limits: ServiceLimits,
        repository: str = ".",
        *,
        warm: bool = True,
    ) -> None:
        """
        Args:
            settings: which models.
            limits: how much is taken on.
            repository: the directory that relative model directories lie in.
            warm: whether nobody has asked for anything yet; who already waits wants no warm-up.
        """
        self.settings, self.limits, self.repository = settings, limits, repository
        self._backlog = Backlog(limits)
        self._inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        """What is to be done on the engine's thread, from others."""
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._stage: Stage = "loading"
        self._detail = "loading models"
        self._beat_s = time.monotonic()
        self._handles: set[Handle] = set()
        """Jobs that are not over. Other threads may take one out: iterate a copy."""
        self._works: dict[Handle, Work] = {}
        """Of the engine's thread."""
        self._pipeline: SpeechPipeline | None = None
        self._decoding: DecodingStage | None = None
        self._scheduler: Scheduler | None = None
        self._closing = False
        self._warm = warm
        self._loaded = threading.Event()
        """Set when it is ready or has failed."""

    def start(self) -> None:
        """Begin to load; returns at once."""
        self._thread.start()

    def wait_until_ready(self) -> None:
        """Wait until models are loaded.

        Raises:
            ModelUnavailable: they cannot be.
        """
        self._loaded.wait()
        if self._stage == "failed":
            raise ModelUnavailable(self._detail)

    def admit(self) -> None:
        """As `Service.admit`."""
        self._check_stage()
        self._backlog.check()

    def _check_stage(self) -> None:
        if self._stage == "draining":
            raise Unavailable("the server is about to end", DRAINING_RETRY_S, "draining")
        if self._stage != "ready":
            raise Unavailable(f"not ready: {self._stage}", LOADING_RETRY_S, "loading")

    def submit(self, request: Request, request_id: str) -> Handle:
        """As `Service.submit`."""
        payload_bytes = len(request.inputs)
        self._check_stage()
        self._backlog.check(payload_bytes)
        assert self._pipeline is not None and self._decoding is not None
        self._pipeline.check(request)
        handle = Handle(request, request_id, self._on_over)
        wait_s = self._backlog.wait_s(payload_bytes)
        self._handles.add(handle)
        self._backlog.add(handle, payload_bytes)
        handle.emit(Progress(0.0, None, wait_s))
        self._decoding.add(handle)
        if self._stage == "failed":
            # It has failed since the check above, and may not have seen this one.
            handle.emit(Failed(EngineBroken(self._detail)))
        return handle

    def status(self) -> ServiceStatus:
        """As `Service.status`."""
        engine = self._scheduler.engine if self._scheduler else None
        n_running = len(self._works)
        return ServiceStatus(
            stage=self._stage,
            detail=self._detail,
            heartbeat_age_s=time.monotonic() - self._beat_s if self._is_at_work else 0.0,
            jobs_running=n_running,
            jobs_waiting=max(0, len(self._handles) - n_running),
            queued_audio_s=self._backlog.queued_s,
            estimated_wait_s=self._backlog.wait_s(),
            batch_rows=engine.n_decoding if engine else 0,
            batch_slots=engine.n_slots if engine else self.limits.max_slots,
            audio_bytes=self._decoding.held_bytes if self._decoding else 0,
            totals=_totals(engine) if engine else EngineTotals(),
            compares_voices=self._pipeline is None or self._pipeline.compares_voices,
        )

    async def drain(self, deadline_s: float) -> None:
        """Take on nothing new; wait until what runs is done, and fail what is not in time."""
        self._stage, self._detail = "draining", "about to end"
        waiting = [asyncio.ensure_future(handle.finished.wait()) for handle in list(self._handles)]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=deadline_s)
            for task in late:
                task.cancel()
        for handle in list(self._handles):
            error = Unavailable("the server has ended", DRAINING_RETRY_S, "draining")
            handle.emit(Failed(error))

    def close(self) -> None:
        """End; waits for nobody, and for a moment for the unit that is at work."""
        self._closing = True
        self._inbox.put(lambda: None)
        if self._thread.is_alive():
            self._thread.join(CLOSING_S)
        if self._decoding:
            self._decoding.close()
        if self._pipeline:
            self._pipeline.decoder.close()

    @property
    def _is_at_work(self) -> bool:
        return self._scheduler is not None and self._scheduler.busy

    def _run(self) -> None:
        """The engine's thread."""
        try:
            scheduler = self._load()
        except (ModelUnavailable, InvalidSettings) as error:
            self._stage, self._detail = "failed", str(error)
            return
        except Exception as error:
            logger.exception("models cannot be loaded")
            self._stage, self._detail = (
                "failed",
                f"models cannot be loaded ({type(error).__name__})",
            )
            return
        finally:
            self._loaded.set()
        try:
            while not self._closing:
                self._take_messages(wait=not scheduler.busy)
                self._beat_s = time.monotonic()
                if scheduler.busy:
                    scheduler.turn()
                    self._beat_s = time.monotonic()
        except Exception as error:
            # Nobody must wait for a thread that has ended.
            logger.exception("the engine has failed")
            self._stage, self._detail = "failed", f"the engine has failed ({type(error).__name__})"
            for handle in list(self._handles):
                handle.emit(Failed(error))

    def _load(self) -> Scheduler:
        pipeline = SpeechPipeline(self.settings, self.repository)
        if self._warm:
            self._enter("warming_up", "warming up")
            speed = warm_up(pipeline.transcriber, pipeline.diarizer, self.limits.max_slots)
            self._backlog.measure(speed * WARM_UP_WORK_S, WARM_UP_WORK_S)
        self._pipeline = pipeline
        memory_bytes = self.limits.audio_memory_mb * 2**20
        self._decoding = DecodingStage(pipeline, memory_bytes, self._on_decoded, self._on_failed)
        self._scheduler = Scheduler(pipeline, self.limits.max_slots, self._backlog, self._inbox.put)
        self._enter("ready", self.settings.asr_model)
        return self._scheduler

    def _enter(self, stage: Stage, detail: str) -> None:
        # Whoever is told to end while it loads does not become ready.
        if self._stage != "draining":
            self._stage, self._detail = stage, detail

    def _take_messages(self, *, wait: bool) -> None:
        if wait:
            message = self._inbox.get()
            self._beat_s = time.monotonic()
            message()
        with contextlib.suppress(queue.Empty):
            while True:
                self._inbox.get_nowait()()

    def _on_decoded(self, handle: Handle, audio: DecodedAudio, seconds: float) -> None:
        """In a decoding thread, which may as well draw the recording's outline."""
        assert self._pipeline is not None
        work = Work(handle, audio, self._pipeline, seconds)
        self._inbox.put(lambda: self._begin(work))

    def _on_failed(self, handle: Handle, error: Exception) -> None:
        """In a decoding thread."""
        handle.emit(Failed(error))

    def _on_over(self, handle: Handle) -> None:
        """In any thread."""
        self._backlog.remove(handle)
        self._inbox.put(lambda: self._forget(handle))

    def _begin(self, work: Work) -> None:
        assert self._scheduler is not None
        if work.handle.is_over:
            self._forget(work.handle)
            return
        self._works[work.handle] = work
        self._backlog.update(work.handle, work.total_s)
        self._scheduler.add(work)

    def _forget(self, handle: Handle) -> None:
        assert self._scheduler is not None and self._decoding is not None
        if work := self._works.pop(handle, None):
            self._scheduler.cancel(work)
        self._decoding.release(handle)
        self._handles.discard(handle)


def _totals(engine: Engine) -> EngineTotals:
    totals = engine.totals
    return EngineTotals(
        windows=engine.n_windows,
        steps=totals.steps,
        row_steps=totals.row_steps,
        tokens=totals.tokens,
        draft_tokens=totals.proposed,
        draft_tokens_accepted=totals.accepted,
        window_retries=totals.fallbacks,
        encoder_s=totals.encoder_s,
    )
