"""The host's answer as events, for a caller that prefers them (RFC 7240); the host knows none.

Progress in comment lines and `segment` events, then one `answer`, which is the whole JSON, or an
`error` with the status that it would have had, and whether another try may help.
"""

from __future__ import annotations

import contextlib

from starlette.types import Send

from speech_endpoint.config import InferenceConfig
from speech_endpoint.errors import InvalidRequest
from speech_endpoint.output.response import to_json
from speech_endpoint.server.errors import CallerGone
from speech_endpoint.server.middleware import noted
from speech_endpoint.server.openai.streaming import HEADERS, comment, message, write
from speech_endpoint.server.work import Work
from speech_endpoint.service.events import Done, Event, Progress, Segments

STREAM = "event-stream"
"""The preference."""


async def stream_answer(work: Work, config: InferenceConfig, send: Send) -> None:
    """Answer with events, the first bytes at once.

    Raises:
        CallerGone: the caller hung up.
    """
    headers = [*HEADERS, (b"preference-applied", STREAM.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    progress = Progress(0.0, None, work.desk.service.status().estimated_wait_s)
    try:
        async with contextlib.aclosing(work.events()) as events:
            async for event in events:
                progress = event if isinstance(event, Progress) else progress
                await write(send, _written(event or progress, config))
    except CallerGone:
        raise
    except Exception as error:
        api_error = noted(error, work.record)
        text = str(error) if isinstance(error, InvalidRequest) else api_error.message
        should_retry = api_error.headers.get("x-should-retry") != "false"
        fields = {"error": text, "status": api_error.status, "should_retry": should_retry}
        await write(send, message("error", fields))
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _written(event: Event, config: InferenceConfig) -> str:
    if isinstance(event, Segments):
        text = "".join(segment.text for segment in event.segments)
        return message("segment", {"text": text})
    if isinstance(event, Done):
        return message("answer", to_json(event.transcript, config))
    assert isinstance(event, Progress)
    return comment(event)
