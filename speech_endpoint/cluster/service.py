"""The service that an ingress offers: it cuts recordings to windows and puts texts together, and
the models are replicas of their own."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from ray.serve.handle import DeploymentHandle

from speech_endpoint.audio.decoding.sandbox import DecodedAudio
from speech_endpoint.audio.vad import SileroVAD
from speech_endpoint.cluster.demand import ArrivalRate
from speech_endpoint.cluster.dispatch import RemoteDiarizer, WindowDispatcher
from speech_endpoint.config import ModelSettings, resolve_model
from speech_endpoint.errors import OutOfMemory
from speech_endpoint.reception import Reception, Request
from speech_endpoint.service.backlog import Backlog, ServiceLimits
from speech_endpoint.service.decoding import DecodingStage
from speech_endpoint.service.events import Failed, Progress, ServiceStatus, Stage, Unavailable
from speech_endpoint.service.handle import Handle
from speech_endpoint.service.work import Work
from speech_endpoint.transcription.opening import Opener
from speech_endpoint.whisper.batching.sequence import DecodeRequest
from speech_endpoint.whisper.checkpoint import load_checkpoint
from speech_endpoint.whisper.tokenizer import Tokenizer

LOADING_RETRY_S = 5.0
N_THREADS = 2
PING_S = 5.0
MAX_SILENCE_S = 30.0
"""Of the replicas, until they count as gone."""
WARM_UP_WORK_S = 10.0
"""The speed that one replica's warm-up measured counts as much as so many seconds of work."""

Result = TypeVar("Result")


class ClusterService:
    """`Service`: recordings are opened here, windows are decoded and speakers found elsewhere."""

    def __init__(
        self,
        settings: ModelSettings,
        limits: ServiceLimits,
        transcriber: DeploymentHandle,
        diarizer: DeploymentHandle | None,
        repository: str = ".",
    ) -> None:
        """Made in the loop of its callers; `start` comes next.

        Args:
            settings: which models the replicas have.
            limits: how much is taken on.
            transcriber: of `TranscriberReplica`.
            diarizer: of `DiarizerReplica`.
            repository: the directory that relative model directories lie in.

        Raises:
            ModelUnavailable: the model's tokens cannot be read.
        """
        self.settings, self.limits = settings, limits
        self._loop = asyncio.get_running_loop()
        self._backlog = Backlog(limits)
        self._arrivals = ArrivalRate()
        self._transcriber = transcriber
        self._dispatcher = WindowDispatcher(transcriber)
        self._diarizer = None if diarizer is None else RemoteDiarizer(diarizer, self._loop)
        self._reception = Reception(settings, _opener(settings, repository), self._diarizer)
        memory_bytes = limits.audio_memory_mb * 2**20
        self._decoding = DecodingStage(
            self._reception, memory_bytes, self._on_decoded, self._on_failed
        )
        self._computing = ThreadPoolExecutor(N_THREADS, thread_name_prefix="opening")
        # They wait for replicas, of more jobs than could compute at once.
        self._listening = ThreadPoolExecutor(limits.max_requests, thread_name_prefix="diarization")
        self._handles: set[Handle] = set()
        self._tasks: dict[Handle, asyncio.Task[None]] = {}
        self._heard_s = -MAX_SILENCE_S
        """When a replica was last heard of."""
        self._measured_s = 0.0
        self._watching: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Look for replicas."""
        self._watching = [asyncio.create_task(self._watch())]
        if self._diarizer is not None:
            self._watching.append(asyncio.create_task(_meet(self._diarizer)))

    async def _watch(self) -> None:
        is_measured = False
        while True:
            # One that has much to do answers late; windows that come back say as much.
            with contextlib.suppress(Exception):
                speed = await asyncio.wait_for(self._transcriber.ping.remote(), MAX_SILENCE_S)
                if not is_measured:
                    self._backlog.measure(speed * WARM_UP_WORK_S, WARM_UP_WORK_S)
                    is_measured = True
                self._heard_s = time.monotonic()
            await asyncio.sleep(PING_S)

    @property
    def _silence_s(self) -> float:
        return time.monotonic() - self._heard_s

    @property
    def _stage(self) -> Stage:
        return "ready" if self._silence_s < MAX_SILENCE_S + PING_S else "loading"

    def admit(self) -> None:
        """As `Service.admit`."""
        self._check_stage()
        self._backlog.check()

    def _check_stage(self) -> None:
        if self._stage != "ready":
            raise Unavailable("no replica of the model is there", LOADING_RETRY_S, "loading")

    def submit(self, request: Request, request_id: str) -> Handle:
        """As `Service.submit`."""
        payload_bytes = len(request.inputs)
        self._check_stage()
        self._backlog.check(payload_bytes)
        if request.needs_voices and self._diarizer is not None and not self._diarizer.is_met:
            raise Unavailable(
                "no replica of the diarization model has answered yet", LOADING_RETRY_S, "loading"
            )
        self._reception.check(request)
        handle = Handle(request, request_id, self._on_over)
        wait_s = self._backlog.wait_s(payload_bytes)
        if not self._handles:
            self._measured_s = time.monotonic()
        self._handles.add(handle)
        self._backlog.add(handle, payload_bytes)
        handle.emit(Progress(0.0, None, wait_s))
        self._decoding.add(handle)
        return handle

    def status(self) -> ServiceStatus:
        """As `Service.status`; batches are the replicas' own."""
        n_running = len(self._tasks)
        return ServiceStatus(
            stage=self._stage,
            detail=self.settings.asr_model,
            heartbeat_age_s=0.0,
            jobs_running=n_running,
            jobs_waiting=max(0, len(self._handles) - n_running),
            queued_audio_s=self._backlog.queued_s,
            estimated_wait_s=self._backlog.wait_s(),
            batch_rows=0,
            batch_slots=0,
            compares_voices=self._reception.compares_voices,
        )

    @property
    def arriving(self) -> float:
        """Audio that is taken on, seconds a second."""
        return self._arrivals.rate(time.monotonic())

    def _on_decoded(self, handle: Handle, audio: DecodedAudio, seconds: float) -> None:
        """In a decoding thread, which may as well draw the recording's outline."""
        work = Work(handle, audio, self._reception, seconds)
        self._loop.call_soon_threadsafe(self._begin, work)

    def _on_failed(self, handle: Handle, error: Exception) -> None:
        """In a decoding thread."""
        handle.emit(Failed(error))

    def _on_over(self, handle: Handle) -> None:
        """In any thread."""
        self._backlog.remove(handle)
        self._loop.call_soon_threadsafe(self._forget, handle)

    def _begin(self, work: Work) -> None:
        if work.handle.is_over:
            self._forget(work.handle)
            return
        self._backlog.update(work.handle, work.total_s)
        self._arrivals.add(time.monotonic(), work.total_s)
        self._tasks[work.handle] = asyncio.create_task(self._do(work))

    def _forget(self, handle: Handle) -> None:
        self._decoding.release(handle)
        self._handles.discard(handle)
        if task := self._tasks.pop(handle, None):
            task.cancel()

    async def _do(self, work: Work) -> None:
        """All of a job. Once its last event is told, or nobody listens, it is cancelled."""
        try:
            requests = await self._open(work)
            self._note(work, 0.0)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._write(work, requests))
                if not work.is_diarized:
                    both.create_task(self._diarize(work))
            await self._compute(work.conclude)
        except MemoryError:
            work.fail(OutOfMemory("out of memory; send a shorter recording"))
        except Exception as error:
            work.fail(_first(error))
        finally:
            self._reception.hand_back_memory()

    async def _open(self, work: Work) -> list[DecodeRequest]:
        # Voices are learnt by a replica, and whoever waits for one keeps nobody from computing.
        pool = self._listening if work.handle.request.needs_voices else self._computing
        return await self._loop.run_in_executor(pool, partial(_open, work))

    async def _write(self, work: Work, requests: list[DecodeRequest]) -> None:
        """Have windows decoded wherever there are slots; texts leave in order of time."""
        async with asyncio.TaskGroup() as group:
            texts = {group.create_task(self._dispatcher.decode(each)) for each in requests}
            while texts:
                done, texts = await asyncio.wait(texts, return_when="FIRST_COMPLETED")
                self._heard_s = time.monotonic()
                results = [task.result() for task in done]
                left_s = work.left_s
                more = await self._compute(partial(work.on_results, results))
                self._note(work, left_s - work.left_s)
                texts |= {group.create_task(self._dispatcher.decode(each)) for each in more}

    async def _diarize(self, work: Work) -> None:
        units = work.diarize()
        await self._loop.run_in_executor(self._listening, lambda: list(units))

    async def _compute(self, work: Callable[[], Result]) -> Result:
        return await self._loop.run_in_executor(self._computing, work)

    def _note(self, work: Work, done_s: float) -> None:
        """Learn how fast this cluster serves those who call here."""
        now = time.monotonic()
        self._backlog.update(work.handle, work.left_s)
        self._backlog.measure(max(0.0, done_s), now - self._measured_s)
        self._measured_s = now


def _opener(settings: ModelSettings, repository: str) -> Opener:
    """Cuts recordings to windows for the model of the replicas."""
    model = resolve_model(settings.asr_model, repository)
    tokenizer = Tokenizer(load_checkpoint(model, settings.token, weightless=True))
    return Opener(
        tokenizer,
        SileroVAD(),
        hold=lambda waveform: waveform,
        has_draft=settings.assistant_model is not None,
    )


async def _meet(diarizer: RemoteDiarizer) -> None:
    while not diarizer.is_met:
        with contextlib.suppress(Exception):
            await diarizer.meet()
        await asyncio.sleep(PING_S)


def _open(work: Work) -> list[DecodeRequest]:
    """The windows of a job, or none if nobody waits for it any more."""
    units = work.open()
    while not work.handle.is_over:
        try:
            next(units)
        except StopIteration as end:
            requests: list[DecodeRequest] = end.value
            return requests
    units.close()
    return []


def _first(error: Exception) -> Exception:
    """What a group of tasks has failed of."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
