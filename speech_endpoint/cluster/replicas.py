"""What runs where the models are: replicas that decode windows, and replicas that tell speakers
apart. Classes of their own, which Ray Serve makes deployments of."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass

from speech_endpoint.cluster.engine import WindowEngine
from speech_endpoint.cluster.settings import ClusterSettings
from speech_endpoint.cluster.windows import SentWindow, WindowAnswer
from speech_endpoint.diarization.diarizer import Diarizer
from speech_endpoint.server.observation.log import set_up_logging
from speech_endpoint.service.warm_up import DURATION_S, speechlike, warm_up
from speech_endpoint.transcript import Diarization, Waveform
from speech_endpoint.transcription.transcriber import Transcriber
from speech_endpoint.units import Units, finish
from speech_endpoint.voices.voiceprint import EmbeddingModel

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Taken:
    """A replica has a slot for the window: the first of the two things that it says about it."""


class TranscriberReplica:
    """Whisper, and one running batch for the windows of all callers of all ingresses."""

    def __init__(self, repository: str = ".") -> None:
        """
        Args:
            repository: the directory that relative model directories lie in.

        Raises:
            ModelUnavailable: a model cannot be loaded.
        """
        settings = ClusterSettings()
        set_up_logging(settings.log_format)
        transcriber = Transcriber(settings, repository)
        self._tokenizer = transcriber.tokenizer
        self._speed = warm_up(transcriber, None, settings.max_slots)
        self._engine = WindowEngine(transcriber, settings.max_slots)

    async def ping(self) -> float:
        """A replica is there; seconds of audio a second that it does at least."""
        return self._speed

    async def decode(self, window: SentWindow) -> AsyncIterator[Taken | WindowAnswer]:
        """Decode a window; if nobody waits for it any more, its slot is free within a step.

        Yields:
            `Taken` when it has a slot, then its answer.

        Raises:
            OutOfMemory: the replica has not the memory for it.
        """
        ticket = self._engine.submit(window)
        try:
            await asyncio.wrap_future(ticket.taken)
            yield Taken()
            result = await asyncio.wrap_future(ticket.result)
            yield await asyncio.to_thread(WindowAnswer.of, result, window, self._tokenizer)
        finally:
            self._engine.cancel(ticket)

    def check_health(self) -> None:
        """Asked by Serve, which replaces a replica that raises."""
        if self._engine.failure is not None:
            raise RuntimeError("the engine has failed") from self._engine.failure


class DiarizerReplica:
    """A diarization pipeline, one recording at a time."""

    def __init__(self, repository: str = ".") -> None:
        """As `TranscriberReplica`; the settings name a pipeline."""
        settings = ClusterSettings()
        set_up_logging(settings.log_format)
        diarizer = Diarizer.from_settings(settings, repository)
        assert diarizer is not None
        diarizer(speechlike(DURATION_S))
        self._diarizer = diarizer

    async def embedding_model(self) -> EmbeddingModel | None:
        """As `Diarizer.embedding_model`."""
        return self._diarizer.embedding_model

    async def diarize(
        self,
        waveform: Waveform,
        num_speakers: int | None,
        min_speakers: int | None,
        max_speakers: int | None,
    ) -> Diarization:
        """As `Diarizer.__call__`; if nobody waits for it any more, it ends within a unit."""
        units = self._diarizer.stream(
            # Ray's arrays are read-only, which PyTorch warns of.
            waveform.copy(),
            num_speakers=num_speakers,
            min_speakers=min_speakers,
            max_speakers=max_speakers,
        )
        gone = threading.Event()
        try:
            return await asyncio.to_thread(finish, _until(gone, units))
        finally:
            gone.set()


def _until(gone: threading.Event, units: Units[Diarization]) -> Units[Diarization]:
    """Units, as long as somebody waits for what comes of them."""
    while not gone.is_set():
        try:
            yield next(units)
        except StopIteration as end:
            diarization: Diarization = end.value
            return diarization
    units.close()
    raise asyncio.CancelledError
