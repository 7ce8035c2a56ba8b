"""The application that Ray Serve runs: `serve run speech_endpoint.cluster.application:build`.

Replicas and what each may use are given in Serve's configuration file, by the names of the
deployments; what is here is for one machine without a GPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray import serve
from ray.serve import Application
from ray.serve.handle import DeploymentHandle
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from speech_endpoint.cluster.replicas import DiarizerReplica, TranscriberReplica
from speech_endpoint.cluster.scaling import ARRIVING_AUDIO, QUEUED_AUDIO_S
from speech_endpoint.cluster.service import ClusterService
from speech_endpoint.cluster.settings import ClusterSettings
from speech_endpoint.server.app import create_app
from speech_endpoint.server.observation.log import set_up_logging
from speech_endpoint.service.backlog import ServiceLimits

SPARE_REQUESTS = 16
"""To a transcriber, beyond its slots: who wait there for one, and pings."""
MAX_HTTP_REQUESTS = 1000
"""At an ingress at once, probes among them; what takes work is refused sooner, by the wait."""
RECORDINGS_AT_A_TIME = 2
"""At a diarizer: one at work, and one that need not be fetched any more."""
DIARIZER_CPUS = 0.5
"""Unless Serve's configuration says otherwise: one of each deployment then fits on two CPUs."""
WINDOW_DRAIN_S = 120.0
SURGE_PERCENT = 25
"""In an update: so many more, one at least, are there before an old one goes."""
QUIET = {"enable_access_log": False}
"""The application has a line a request of its own."""


class NamedOnce:
    """An application whose answers have no request id: Serve's proxy gives it them, the same."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def named_once(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [each for each in message["headers"] if each[0] != b"x-request-id"]
                message = {**message, "headers": headers}
            await send(message)

        await self.app(scope, receive, named_once)


@serve.ingress()
class Ingress:
    """HTTP, as the server of one machine speaks it."""

    def __init__(
        self, transcriber: DeploymentHandle, diarizer: DeploymentHandle | None, repository: str
    ) -> None:
        self._settings = settings = ClusterSettings()
        set_up_logging(settings.log_format)
        limits = ServiceLimits(
            max_wait_s=settings.max_wait_s,
            max_requests=settings.max_requests,
            audio_memory_mb=settings.audio_memory_mb,
        )
        self._service = ClusterService(settings, limits, transcriber, diarizer, repository)
        self._service.start()

    def __serve_build_asgi_app__(self) -> ASGIApp:
        return NamedOnce(create_app(self._service, self._settings))

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Asked by Serve, for `scaling.ByAudio`."""
        return {
            ARRIVING_AUDIO: self._service.arriving,
            QUEUED_AUDIO_S: self._service.status().queued_audio_s,
        }


def build(args: Mapping[str, Any]) -> Application:
    """The application, by the settings in the environment.

    Args:
        args: `repository`, the directory that relative model directories lie in.
    """
    settings = ClusterSettings()
    repository = str(args.get("repository", "."))
    transcriber = serve.deployment(
        TranscriberReplica,
        name="Transcriber",
        logging_config=QUIET,
        max_surge_percent=SURGE_PERCENT,
        max_ongoing_requests=settings.max_slots + SPARE_REQUESTS,
        graceful_shutdown_timeout_s=WINDOW_DRAIN_S,
    ).bind(repository)
    diarizer = None
    if settings.diarization_model is not None:
        diarizer = serve.deployment(
            DiarizerReplica,
            name="Diarizer",
            logging_config=QUIET,
            ray_actor_options={"num_cpus": DIARIZER_CPUS},
            max_ongoing_requests=RECORDINGS_AT_A_TIME,
            graceful_shutdown_timeout_s=settings.request_timeout_s,
        ).bind(repository)
    return serve.deployment(
        Ingress,
        name="Ingress",
        logging_config=QUIET,
        max_surge_percent=SURGE_PERCENT,
        max_ongoing_requests=MAX_HTTP_REQUESTS,
        graceful_shutdown_timeout_s=settings.request_timeout_s,
    ).bind(transcriber, diarizer, repository)
