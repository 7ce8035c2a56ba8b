"""Around every route: ids, headers, errors, the log line, the metrics."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from speech_endpoint.errors import InvalidRequest, printable
from speech_endpoint.server.access import Access
from speech_endpoint.server.errors import ApiError, CallerGone, to_api_error
from speech_endpoint.server.observation.log import log_request
from speech_endpoint.server.observation.metrics import CLIENT_CLOSED_REQUEST, Metrics
from speech_endpoint.server.observation.record import RequestRecord, record_of

HOST_PATHS = frozenset({"/", "/predict", "/invocations"})
"""Routes whose errors are the host's: {"error": "…"}."""
# Of callers who go on sending after they were refused: closed at once, their answer would be lost.
LINGER_S, LINGER_SILENCE_S = 10.0, 2.0
REASONS = {401: "unauthorized", 413: "too_large"}
REJECT_CODES = frozenset({
    "queue_full", "upload_memory_full", "loading", "draining", "audio_too_long",
})  # fmt: skip
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
MAX_TRACEBACK_LINE_CHARACTERS = 300

logger = logging.getLogger(__name__)


class Observed:
    """The outermost: keeps each request's record, and has it logged and counted."""

    def __init__(self, app: ASGIApp, metrics: Metrics, model: str) -> None:
        self.app, self.metrics = app, metrics
        self.headers = (*HEADERS, (b"x-model", model.encode("ascii", "replace")))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        record = RequestRecord.of(scope)
        scope.setdefault("state", {})["record"] = record

        async def receive_and_count() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                record.body_bytes += len(message.get("body", b""))
                record.body_complete = not message.get("more_body", False)
            return message

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status, record.response_started = message["status"], True
                ids = (b"x-request-id", record.id.encode())
                message["headers"] = [*message.get("headers", ()), ids, *self.headers]
            await send(message)

        try:
            await self.app(scope, receive_and_count, send_with_headers)
        finally:
            route = scope.get("route")
            record.route = getattr(route, "path", "unknown")
            self.metrics.count(record)
            log_request(record)


class Guard:
    """Lets in who may come in, and turns exceptions into answers."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app, self.access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        record = record_of(scope)
        try:
            record.key = self.access.check(scope)
            await self.app(scope, receive, send)
        except CallerGone:
            record.status = CLIENT_CLOSED_REQUEST
        except Exception as error:
            api_error = noted(error, record)
            if record.response_started:
                # What has begun as another answer cannot become this one.
                raise
            if scope["path"] in HOST_PATHS:
                response = host_response(error, api_error)
            else:
                response = JSONResponse(api_error.body(), api_error.status, api_error.headers)
            await _send(response, scope, receive, send)


def noted(error: Exception, record: RequestRecord) -> ApiError:
    """What the caller is told; what only the log is told is written there."""
    api_error = to_api_error(error, record.id)
    record.error = api_error.code
    if api_error.code in REJECT_CODES:
        record.reject_reason = api_error.code
    elif api_error.status < 500:
        record.reject_reason = REASONS.get(api_error.status, "invalid")
    else:
        record.error = type(error).__name__
        lines = "".join(traceback.format_exception(error)).splitlines()
        # Each line is marked as one of a traceback, whatever the messages in it hold.
        marked = [f"  | {printable(line[:MAX_TRACEBACK_LINE_CHARACTERS])}" for line in lines]
        logger.error("request %s traceback\n%s", record.id, "\n".join(marked))
    return api_error


def host_response(error: Exception, api_error: ApiError) -> Response:
    """In the host's shape; what the handler would raise has the host's status and words, too."""
    if isinstance(error, InvalidRequest):
        return JSONResponse({"error": str(error)}, 400)
    return JSONResponse({"error": api_error.message}, api_error.status, api_error.headers)


async def _send(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer; whoever still sends a body is read a while longer, so that he sees the answer."""
    record = record_of(scope)
    if record.body_complete:
        await response(scope, receive, send)
        return
    # Who waits for "100 Continue" sends nothing; asking for the body would invite it.
    expects = (b"expect", b"100-continue") in [(k, v.lower()) for k, v in scope["headers"]]
    response.headers["connection"] = "close"

    async def send_and_linger(message: Message) -> None:
        if message["type"] == "http.response.body" and not (expects and not record.body_bytes):
            await send({**message, "more_body": True})
            await _linger(receive, record)
            message = {"type": "http.response.body", "body": b""}
        await send(message)

    await response(scope, receive, send_and_linger)


async def _linger(receive: Receive, record: RequestRecord) -> None:
    """Throw away what comes, for a while."""
    until = time.monotonic() + LINGER_S
    while not record.body_complete and time.monotonic() < until:
        try:
            async with asyncio.timeout(LINGER_SILENCE_S):
                message = await receive()
        except TimeoutError:
            return
        if message["type"] == "http.disconnect":
            return
