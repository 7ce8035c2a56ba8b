"""A request's body, chunk by chunk, within limits of size, time and memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from io import BytesIO

from starlette.datastructures import Headers
from starlette.types import Message, Receive

from speech_endpoint.server.errors import ApiError, CallerGone

MIN_BYTES_PER_S = 1024
CLOSE = {"connection": "close"}


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Of one body."""

    max_bytes: int
    timeout_s: float
    """It may stand still for so long, and be slow on average."""


def stated_bytes(headers: Headers, max_bytes: int, overhead_bytes: int = 0) -> int:
    """How long a body may be: as long as it says, or the most where it does not.

    Refuses what can be refused before a byte is read.

    Args:
        headers: of the request.
        max_bytes: of the audio in it.
        overhead_bytes: of what stands around the audio.

    Raises:
        ApiError: 415, compressed; 413, of a stated length that is too large.
    """
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise ApiError(
            415,
            "unsupported_media_type",
            "content-encoding: compressed bodies are not read; audio formats compress well enough",
            headers=CLOSE,
        )
    length = headers.get("content-length", "")
    most = max_bytes + overhead_bytes
    n_bytes = int(length) if length.isascii() and length.isdigit() else most
    if n_bytes > most:
        raise too_large(max_bytes, n_bytes)
    return n_bytes


def too_large(max_bytes: int, n_bytes: int) -> ApiError:
    """The error for a body, or a file in it."""
    return ApiError(
        413,
        "payload_too_large",
        f"Maximum content size limit ({max_bytes}) exceeded ({n_bytes} bytes read)",
        param="file",
        headers=CLOSE,
    )


async def chunks(receive: Receive, limits: BodyLimits) -> AsyncIterator[bytes]:
    """The body as it comes.

    Raises:
        ApiError: 408, too slow; 413, too large.
        CallerGone: the caller hung up.
    """
    n_bytes = 0
    # Both begin anew from time to time, so that a slow stretch shows after a fast one.
    since, n_since = time.monotonic(), 0
    while True:
        message = await _next(receive, limits.timeout_s)
        chunk = message.get("body", b"")
        n_bytes += len(chunk)
        n_since += len(chunk)
        if n_bytes > limits.max_bytes:
            raise too_large(limits.max_bytes, n_bytes)
        elapsed_s = time.monotonic() - since
        if elapsed_s >= limits.timeout_s:
            if n_since < MIN_BYTES_PER_S * elapsed_s and message.get("more_body"):
                raise _too_slow(f"less than {MIN_BYTES_PER_S} bytes a second")
            since, n_since = time.monotonic(), 0
        if chunk:
            yield chunk
        if not message.get("more_body"):
            return


async def read_all(receive: Receive, limits: BodyLimits) -> bytes:
    """The whole body; raises as `chunks` does."""
    body = BytesIO()
    async for chunk in chunks(receive, limits):
        body.write(chunk)
    return body.getvalue()


async def _next(receive: Receive, timeout_s: float) -> Message:
    try:
        async with asyncio.timeout(timeout_s):
            message = await receive()
    except TimeoutError:
        raise _too_slow(f"nothing for {timeout_s:g} s") from None
    if message["type"] == "http.disconnect":
        raise CallerGone
    return message


def _too_slow(how: str) -> ApiError:
    message = f"the request's body came too slowly: {how}"
    return ApiError(408, "upload_timeout", message, headers=CLOSE)
