"""Transcribing with models in this process: files share one running batch."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from speech_endpoint.cli.recognisers import Advance, GivenUp, OnAdvance, RecogniserError, ignore
from speech_endpoint.config import ModelSettings
from speech_endpoint.errors import InvalidRequest, ModelUnavailable, OutOfMemory
from speech_endpoint.parameters import InferenceConfig
from speech_endpoint.transcript import Transcript

if TYPE_CHECKING:
    from speech_endpoint.reception import Request


class LocalRecogniser:
    """The models that the environment names (`ModelSettings`)."""

    def __init__(self, settings: ModelSettings, max_jobs: int) -> None:
        """
        Args:
            settings: which models.
            max_jobs: files that share the batch.

        Raises:
            ModelUnavailable: a model cannot be loaded, or the libraries for it are not there.
        """
        # Only here: the command's help, and work at an endpoint, need no PyTorch.
        try:
            from speech_endpoint.service.backlog import ServiceLimits
            from speech_endpoint.service.resident import ResidentService
        except ModuleNotFoundError as error:
            raise ModelUnavailable(
                f"there is no {error.name} here: install speech-endpoint with its dependencies, or"
                " name an --endpoint"
            ) from None

        self.max_jobs = max_jobs
        self.description = f"{settings.asr_model} {settings.diarization_model or ''}".strip()
        # Nobody is refused: no more files are begun than `max_jobs`.
        limits = ServiceLimits(max_wait_s=float("inf"), max_requests=sys.maxsize)
        self._service = ResidentService(settings, limits, warm=False)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="files", daemon=True)
        self._lock = threading.Lock()
        self._jobs: set[Future[Transcript]] = set()
        self._closed = False
        self._service.start()
        self._service.wait_until_ready()
        self._thread.start()

    def transcribe(
        self, audio: bytes, parameters: Mapping[str, Any], on_advance: OnAdvance = ignore
    ) -> Transcript:
        """As `Recogniser.transcribe`."""
        from speech_endpoint.reception import Request

        config, warnings = InferenceConfig.from_parameters(dict(parameters))
        request = Request(audio, config, tuple(warnings))
        with self._lock:
            if self._closed:
                raise GivenUp
            job = asyncio.run_coroutine_threadsafe(self._follow(request, on_advance), self._loop)
            self._jobs.add(job)
        try:
            return job.result()
        except CancelledError:
            raise GivenUp from None
        except (InvalidRequest, OutOfMemory, RecogniserError):
            raise
        except Exception as error:
            raise RecogniserError(f"{type(error).__name__}: {error}") from error
        finally:
            with self._lock:
                self._jobs.discard(job)

    async def _follow(self, request: Request, on_advance: OnAdvance) -> Transcript:
        from speech_endpoint.service.events import Done, Failed, Progress, Segments

        job, advance = self._service.submit(request, ""), Advance(0.0, None)
        try:
            async for event in job.events():
                if isinstance(event, Progress):
                    advance = Advance(event.done_s, event.duration_s)
                    on_advance(advance)
                elif isinstance(event, Segments):
                    text = "".join(segment.text for segment in event.segments)
                    on_advance(replace(advance, text=text))
                elif isinstance(event, Failed):
                    raise event.error
                elif isinstance(event, Done):
                    return event.transcript
        finally:
            job.cancel()
        raise GivenUp

    def close(self) -> None:
        """As `Recogniser.close`."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for job in self._jobs:
                job.cancel()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._service.close()
