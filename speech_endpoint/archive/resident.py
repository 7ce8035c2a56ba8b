"""A block's recordings, transcribed by models in this process, in one running batch."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from typing import Any

from speech_endpoint.archive.errors import EngineFailed
from speech_endpoint.archive.tables import Failure, Outcome
from speech_endpoint.config import InferenceConfig, ModelSettings
from speech_endpoint.errors import InvalidRequest, ModelUnavailable
from speech_endpoint.reception import Request
from speech_endpoint.service.backlog import ServiceLimits
from speech_endpoint.service.events import Done, Failed, Unavailable
from speech_endpoint.service.resident import ResidentService

LOADING_POLL_S = 0.05


class ResidentRecogniser:
    """`Recogniser`: the service that the server has, so that short recordings share a batch."""

    def __init__(
        self, settings: ModelSettings, parameters: Mapping[str, Any], repository: str
    ) -> None:
        """
        Args:
            settings: which models.
            parameters: of every recording, as a request has them.
            repository: the directory that relative model directories lie in.

        Raises:
            ModelUnavailable: a model cannot be loaded.
            InvalidRequest: the models cannot do what the parameters ask for.
        """
        self._settings, self._repository = settings, repository
        self._config, self._warnings = InferenceConfig.from_parameters(dict(parameters))
        self._service = self._start()

    def transcribe(self, recordings: Mapping[str, bytes]) -> dict[str, Outcome]:
        """As `Recogniser.transcribe`."""
        if self._service.status().stage != "ready":
            self._service.close()
            self._service = self._start()
        outcomes = asyncio.run(self._transcribe_all(recordings))
        status = self._service.status()
        if status.stage != "ready":
            raise EngineFailed(status.detail)
        return outcomes

    async def _transcribe_all(self, recordings: Mapping[str, bytes]) -> dict[str, Outcome]:
        outcomes = await asyncio.gather(
            *(self._transcribe(name, audio) for name, audio in recordings.items())
        )
        return dict(zip(recordings, outcomes, strict=True))

    async def _transcribe(self, name: str, audio: bytes) -> Outcome:
        request = Request(audio, self._config, tuple(self._warnings))
        try:
            job = self._service.submit(request, name)
        except (InvalidRequest, Unavailable) as error:
            return Failure.of(error)
        async for event in job.events():
            if isinstance(event, Done):
                return event.transcript
            if isinstance(event, Failed):
                return Failure.of(event.error)
        raise EngineFailed("a job ended without a last event")

    def _start(self) -> ResidentService:
        # Nobody is refused: how many recordings there are at once is the block's business.
        limits = ServiceLimits(max_wait_s=math.inf, max_requests=2**31)
        service = ResidentService(self._settings, limits, self._repository)
        service.start()
        while (status := service.status()).stage in ("loading", "warming_up"):
            time.sleep(LOADING_POLL_S)
        if status.stage == "failed":
            raise ModelUnavailable(status.detail)
        return service
