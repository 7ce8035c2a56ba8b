"""The service as a protocol sees it: models on a thread of their own, callers in a loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest
from paths import AUSTEN, REPOSITORY

from speech_endpoint.config import ModelSettings
from speech_endpoint.errors import InvalidRequest
from speech_endpoint.pipeline import SpeechPipeline
from speech_endpoint.reception import Request
from speech_endpoint.service.backlog import ServiceLimits
from speech_endpoint.service.events import Done, Event, Failed, Job, Overloaded, Unavailable
from speech_endpoint.service.resident import ResidentService

MAX_REQUESTS = 10


@pytest.fixture
def service(monkeypatch) -> Iterator[ResidentService]:
    monkeypatch.setenv("ASR_MODEL", "models/whisper-tiny.en")
    limits = ServiceLimits(max_requests=MAX_REQUESTS, max_slots=2)
    service = ResidentService(ModelSettings(), limits, str(REPOSITORY))
    service.start()
    while service.status().stage in ("loading", "warming_up"):
        time.sleep(0.05)
    assert service.status().stage == "ready", service.status().detail
    yield service
    service.close()


def _request(payload: bytes | None = None) -> Request:
    return Request.from_host({"inputs": AUSTEN.read_bytes() if payload is None else payload})


async def _last(job: Job) -> Event | None:
    last = None
    async for event in job.events():
        last = event
    return last


def _run(use: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        await asyncio.wait_for(use(), timeout=120)

    asyncio.run(limited())


def test_every_caller_is_told_whatever_becomes_of_it(service: ResidentService) -> None:
    """Served, refused for their audio, hung up, or turned away: nobody waits for ever."""

    async def use() -> None:
        jobs: dict[int, Job] = {}
        retries_s = []
        for n in range(200):
            try:
                jobs[n] = service.submit(_request(None if n % 5 else b"no audio"), str(n))
            except Overloaded as refusal:
                retries_s.append(refusal.retry_after_s)
        # What fails at once leaves room for others.
        assert MAX_REQUESTS <= len(jobs) < 200 and min(retries_s) >= 1
        jobs.pop(1).cancel()
        lasts = dict(zip(jobs, await asyncio.gather(*map(_last, jobs.values())), strict=True))
        for n, last in lasts.items():
            assert isinstance(last, Done if n % 5 else Failed)
        assert isinstance(lasts[0].error, InvalidRequest)
        texts = {last.transcript.text for last in lasts.values() if isinstance(last, Done)}
        assert len(texts) == 1 and "more amiable woman" in texts.pop()
        # There is room again.
        assert isinstance(await _last(service.submit(_request(), "again")), Done)
        while (status := service.status()).jobs_running:
            await asyncio.sleep(0.01)
        assert (status.jobs_waiting, status.queued_audio_s, status.batch_rows) == (0, 0, 0)

    _run(use)


def test_who_hangs_up_while_waiting_leaves_nothing(service: ResidentService) -> None:
    async def use() -> None:
        for n in range(50):
            service.submit(_request(), str(n)).cancel()
        assert isinstance(await _last(service.submit(_request(), "next")), Done)
        # The engine's thread is told a moment after the caller; the limit of `_run` ends the wait.
        while service._handles or service._works or service._decoding._held_bytes:
            await asyncio.sleep(0.01)
        assert not service._decoding._waiting

    _run(use)


def test_a_file_whose_decoding_fails_unforeseen_fails_alone(
    service: ResidentService, monkeypatch
) -> None:
    async def use() -> None:
        def fail(*_: object) -> None:
            raise MemoryError

        monkeypatch.setattr(SpeechPipeline, "decode", fail)
        failed = await _last(service.submit(_request(), "a"))
        assert isinstance(failed, Failed) and isinstance(failed.error, MemoryError)
        monkeypatch.undo()
        assert isinstance(await _last(service.submit(_request(), "b")), Done)

    _run(use)


def test_draining_lets_what_runs_finish_and_takes_nothing_new(service: ResidentService) -> None:
    async def use() -> None:
        jobs = [service.submit(_request(), str(n)) for n in range(5)]
        draining = asyncio.ensure_future(service.drain(60))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            service.submit(_request(), "late")
        assert all(isinstance(last, Done) for last in await asyncio.gather(*map(_last, jobs)))
        await draining

    _run(use)


def test_what_is_not_done_in_time_is_told(service: ResidentService) -> None:
    async def use() -> None:
        jobs = [service.submit(_request(), str(n)) for n in range(5)]
        await service.drain(0)
        for last in await asyncio.gather(*map(_last, jobs)):
            assert isinstance(last, Done) or isinstance(last.error, Unavailable)

    _run(use)


def test_an_engine_that_dies_tells_everybody(service: ResidentService, monkeypatch) -> None:
    async def use() -> None:
        def fail(*_: object) -> None:
            raise MemoryError("anything")

        monkeypatch.setattr(service._scheduler, "turn", fail)
        failed = await _last(service.submit(_request(), "a"))
        assert isinstance(failed, Failed)
        assert service.status().stage == "failed"
        with pytest.raises(Unavailable):
            service.submit(_request(), "b")

    _run(use)
