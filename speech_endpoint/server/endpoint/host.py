"""The host's routes, by the rules of huggingface-inference-toolkit (webservice_starlette.py).

What a caller of an Inference Endpoint sends and gets, with the same bytes.
"""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from speech_endpoint.output.response import to_json
from speech_endpoint.reception import Request
from speech_endpoint.server.endpoint.stream import STREAM, stream_answer
from speech_endpoint.server.errors import ApiError
from speech_endpoint.server.observation.record import record_of
from speech_endpoint.server.work import Desk

AUDIO_TYPES = frozenset(
    f"audio/{kind}"
    for kind in (
        "x-flac", "flac", "mpeg", "x-mpeg-3", "wave", "wav", "x-wav", "ogg", "x-audio", "webm",
        "webm;codecs=opus", "AMR", "amr", "AMR-WB", "AMR-WB+", "m4a", "x-m4a",
    )
)  # fmt: skip
JSON_TYPES = frozenset({"application/json", "application/json; charset=UTF-8"})
BASE64_OVERHEAD = 1.5
MAX_JSON_OVERHEAD_BYTES = 2**20
"""Of what is not the audio."""


class Predict:
    """`POST /`, /predict and /invocations."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; raises what `errors.to_api_error` knows."""
        request = HttpRequest(scope, receive)
        with self.desk.budget.account() as account:
            max_bytes = self.desk.max_file_bytes
            if request.headers.get("content-type") in JSON_TYPES:
                max_bytes = int(max_bytes * BASE64_OVERHEAD) + MAX_JSON_OVERHEAD_BYTES
            body = await self.desk.body(request, account, max_bytes)
            speech = Request.from_host(_data(request, body))
            del body
            record_of(scope).format = speech.config.response_format
            if STREAM in request.headers.get("prefer", ""):
                await stream_answer(self.desk.submit(request, speech), speech.config, send)
                return
            transcript = await self.desk.transcript(request, speech)
            answer = orjson.dumps(to_json(transcript, speech.config))
            response = Response(answer, media_type="application/json")
            await response(scope, receive, send)


def _data(request: HttpRequest, body: bytes) -> dict[str, Any]:
    content_type = request.headers.get("content-type")
    if content_type in JSON_TYPES:
        try:
            data = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise ApiError(400, "invalid_value", str(error)) from None
    elif content_type in AUDIO_TYPES:
        data = {"inputs": body}
    else:
        message = f'Content type "{content_type}" not supported.'
        raise ApiError(400, "unsupported_media_type", message)
    if request.query_params and isinstance(data, dict) and "parameters" not in data:
        data["parameters"] = {
            name: _converted(value) for name, value in request.query_params.items()
        }
    return data


def _converted(value: str) -> int | bool | str:
    if value.lstrip("-").isdigit():
        try:
            return int(value)
        except ValueError:
            return value
    return {"true": True, "false": False}.get(value.lower(), value)
