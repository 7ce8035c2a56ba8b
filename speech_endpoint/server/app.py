"""The application: which route is what, and what stands around all of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from speech_endpoint.server.access import Access
from speech_endpoint.server.dialects import DetectLanguage, WhisperCpp, WhisperWebservice
from speech_endpoint.server.endpoint.host import Predict
from speech_endpoint.server.errors import ApiError
from speech_endpoint.server.middleware import Guard, Observed
from speech_endpoint.server.observation.metrics import Metrics
from speech_endpoint.server.openai.audio import Diarization, Transcriptions
from speech_endpoint.server.openai.known_speakers import Voiceprints
from speech_endpoint.server.openai.models import Models, served_model
from speech_endpoint.server.openai.schema import OpenApi
from speech_endpoint.server.page import page_routes
from speech_endpoint.server.probes import Probes
from speech_endpoint.server.settings import ServerSettings, listed
from speech_endpoint.server.uploads.budget import UploadBudget
from speech_endpoint.server.work import KEEP_ALIVE_S, Desk
from speech_endpoint.service.events import Service

UPLOAD_PATIENCE_S = 10.0
"""How long an upload waits for memory."""
EXPOSED_HEADERS = ("x-request-id", "retry-after", "server-timing", "x-model", "x-warnings")


def create_app(
    service: Service, settings: ServerSettings, *, keep_alive_s: float = KEEP_ALIVE_S
) -> Starlette:
    """An application around a service.

    Args:
        service: does the work; who made it starts and ends it.
        settings: of the server, and what is loaded.
        keep_alive_s: a stream is silent for no longer.
    """
    budget = UploadBudget(settings.upload_memory_mb * 2**20, UPLOAD_PATIENCE_S)
    metrics = Metrics(service, settings, lambda: budget.used_bytes)
    desk = Desk(service, settings, budget, metrics, keep_alive_s)
    access = Access(settings)
    middleware = [Middleware(Observed, metrics, served_model(settings))]
    if origins := listed(settings.cors_origins):
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=origins,
                allow_methods=["GET", "POST"],
                allow_headers=["*"],
                expose_headers=EXPOSED_HEADERS,
            )
        )
    middleware.append(Middleware(Guard, access))
    app = Starlette(
        routes=_routes(desk),
        middleware=middleware,
        exception_handlers={HTTPException: _in_our_words},
    )
    app.state.access = access
    return app


def _routes(desk: Desk) -> list[Route]:
    probes, models = Probes(desk), Models(desk.settings)
    predict = Predict(desk)
    # Instances are ASGI applications of their own: they read bodies and send as they like.
    posts: dict[str, ASGIApp] = {
        "/": predict,
        "/predict": predict,
        "/invocations": predict,
        "/v1/audio/transcriptions": Transcriptions(desk),
        "/v1/audio/translations": Transcriptions(desk, "translate"),
        "/v1/audio/diarization": Diarization(desk),
        "/v1/audio/voiceprints": Voiceprints(desk),
        "/asr": WhisperWebservice(desk),
        "/detect-language": DetectLanguage(desk),
        "/inference": WhisperCpp(desk),
    }
    gets: dict[str, Callable[[HttpRequest], Awaitable[Response]]] = {
        "/health": probes.health,
        "/ready": probes.ready,
        "/ping": probes.ping,
        "/metrics": probes.metrics,
        "/v1/limits": probes.limits,
        "/v1/models": models.list,
        "/v1/models/{model:path}": models.one,
        "/openapi.json": OpenApi(desk.settings).document,
    }
    return [
        *page_routes(listed(desk.settings.frame_ancestors)),
        *(Route(path, endpoint, methods=["GET"]) for path, endpoint in gets.items()),
        *(Route(path, endpoint, methods=["POST"]) for path, endpoint in posts.items()),
    ]


async def _in_our_words(request: HttpRequest, error: Exception) -> Response:
    """Raise Starlette's errors anew, for `Guard` to answer."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        raise ApiError(
            404, "unknown_url", f"Unknown request URL: {request.method} {request.url.path}"
        )
    if error.status_code == 405:
        message = f"Not allowed: {request.method} {request.url.path}"
        raise ApiError(405, "method_not_allowed", message, headers=error.headers)
    raise error
