"""The host's server, by the rules of huggingface-inference-toolkit 0.5.6 (webservice_starlette.py).

It stands in for Hugging Face's container: content types, base64 decoding, query parameters, one
call at a time in a worker thread, every exception an HTTP 400.
"""

from __future__ import annotations

import base64
import importlib.util
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

AUDIO_TYPES = {
    f"audio/{kind}"
    for kind in (
        "x-flac", "flac", "mpeg", "x-mpeg-3", "wave", "wav", "x-wav", "ogg", "x-audio", "webm",
        "webm;codecs=opus",
        "AMR", "amr", "AMR-WB", "AMR-WB+", "m4a", "x-m4a",
    )
}  # fmt: skip
JSON_TYPES = {"application/json", "application/json; charset=UTF-8"}


def load_handler(directory: Path):
    """Import handler.py from `directory` as the host does."""
    sys.path.insert(0, str(directory))
    spec = importlib.util.spec_from_file_location(
        "handler.EndpointHandler", directory / "handler.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["handler.EndpointHandler"] = module
    spec.loader.exec_module(module)
    return module.EndpointHandler(str(directory))


def make_app(handler, task: str = "custom") -> Starlette:
    """The server around a handler; `task` is the endpoint's."""

    @asynccontextmanager
    async def lifespan(app: Starlette):
        app.state.turn = anyio.CapacityLimiter(1)
        yield

    async def predict(request: Request) -> Response:
        try:
            data = _deserialize(request.headers.get("content-type"), await request.body())
            if "inputs" not in data:
                raise ValueError(
                    f"Body needs to provide a inputs key, received: {orjson.dumps(data)!r}"
                )
            if "parameters" in data and task == "automatic-speech-recognition":
                data["inputs"] = base64.b64decode(data["inputs"], validate=True)
            if request.query_params and "parameters" not in data:
                data["parameters"] = {
                    key: _convert(value) for key, value in request.query_params.items()
                }
            answer = await anyio.to_thread.run_sync(handler, data, limiter=request.app.state.turn)
            return Response(
                orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY),
                media_type="application/json",
            )
        except Exception as error:
            return Response(
                orjson.dumps({"error": str(error)}), status_code=400, media_type="application/json"
            )

    async def health(request: Request) -> Response:
        return PlainTextResponse("Ok")

    routes = [
        Route("/health", health),
        Route("/", predict, methods=["POST"]),
        Route("/predict", predict, methods=["POST"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def _deserialize(content_type: str | None, body: bytes) -> dict:
    if content_type in JSON_TYPES:
        return orjson.loads(body)
    if content_type in AUDIO_TYPES:
        return {"inputs": bytes(body)}
    raise ValueError(f'Content type "{content_type}" not supported.')


def _convert(value: str):
    if value.lstrip("-").isdigit():
        return int(value)
    return {"true": True, "false": False}.get(value.lower(), value)
