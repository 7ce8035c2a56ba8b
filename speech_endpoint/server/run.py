"""The server's process: its socket opens before models load, and it ends when its work is done."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from types import FrameType
from typing import Protocol

import uvicorn

from speech_endpoint.server.access import Keyring
from speech_endpoint.server.app import create_app
from speech_endpoint.server.observation.log import set_up_logging
from speech_endpoint.server.settings import ServerSettings
from speech_endpoint.service.backlog import ServiceLimits
from speech_endpoint.service.events import Service
from speech_endpoint.service.resident import ResidentService

MAX_HEADER_BYTES = 32 * 1024

logger = logging.getLogger(__name__)


class OwnedService(Service, Protocol):
    """A service whose beginning and end are the server's."""

    def start(self) -> None:
        """Begin to load, elsewhere; returns at once."""
        ...

    async def drain(self, deadline_s: float) -> None:
        """Take nothing new from now on; wait until what runs is done, and fail what is not in
        time."""
        ...

    def close(self) -> None:
        """End; waits for nobody."""
        ...


class Server(uvicorn.Server):
    """uvicorn's, which would stop listening at the first signal: a balancer that asks /ready must
    hear that this process is about to end, and callers must get their answers."""

    def __init__(
        self, config: uvicorn.Config, service: OwnedService, settings: ServerSettings
    ) -> None:
        super().__init__(config)
        self.service, self.settings = service, settings
        self.failure: str | None = None
        """Why nothing could be loaded."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._draining: asyncio.Task[None] | None = None
        self._signalled = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._loop = asyncio.get_running_loop()
        self.service.start()

    async def on_tick(self, counter: int) -> bool:
        status = self.service.status()
        if status.stage == "failed":
            self.failure = status.detail
            return True
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain at the first signal, end at the second."""
        if self._signalled or self._loop is None:
            self.should_exit = self.force_exit = True
            return
        self._signalled = True
        self._loop.call_soon_threadsafe(self._begin_to_drain)

    def _begin_to_drain(self) -> None:
        self._draining = asyncio.ensure_future(self._drain())

    async def _drain(self) -> None:
        logger.info("draining: no new requests; those that run have %g s", self.settings.drain_s)
        try:
            await asyncio.gather(
                self.service.drain(self.settings.drain_s),
                asyncio.sleep(self.settings.drain_delay_s),
            )
        finally:
            self.should_exit = True


def serve_models(settings: ServerSettings) -> int:
    """Serve the models that the settings name, until a signal says otherwise; the exit code."""
    limits = ServiceLimits(
        max_wait_s=settings.max_wait_s,
        max_requests=settings.max_requests,
        audio_memory_mb=settings.audio_memory_mb,
        max_slots=settings.max_slots,
    )
    return serve(ResidentService(settings, limits), settings)


def serve(service: OwnedService, settings: ServerSettings) -> int:
    """Serve until a signal says otherwise; the exit code."""
    set_up_logging(settings.log_format)
    app = create_app(service, settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        timeout_graceful_shutdown=max(1, round(settings.drain_s)),
    )
    keyring = app.state.access.keyring
    if keyring is not None and hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, lambda sig, frame: _reload(keyring))
    server = Server(config, service, settings)
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    service.close()
    if server.failure is not None:
        logger.error("cannot start: %s", server.failure)
    return 0 if server.started and server.failure is None else 1


def _reload(keyring: Keyring) -> None:
    try:
        keyring.reload()
        logger.info("keys read again")
    except OSError as error:
        logger.error("API_KEYS_FILE: cannot be read (%s); the old keys stay", type(error).__name__)
