"""The names that models go by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from speech_endpoint.errors import quoted
from speech_endpoint.server.errors import ApiError
from speech_endpoint.server.settings import ServerSettings

CREATED = 1_700_000_000
"""A time, which OpenAI's clients ask for and nobody reads."""


def served_model(settings: ServerSettings) -> str:
    """The model's name; of one on this machine's disk the last part alone."""
    model = settings.asr_model
    return Path(model).name if Path(model).is_absolute() else model


def model_names(settings: ServerSettings) -> tuple[str, ...]:
    """The model's own name, and those that clients know."""
    names = [served_model(settings), "whisper-1"]
    if settings.diarization_model:
        names.append("gpt-4o-transcribe-diarize")
    return tuple(dict.fromkeys(names))


def check_model(name: str | None, settings: ServerSettings) -> None:
    """Any name is served by what is loaded, unless names are strict.

    Raises:
        ApiError: 404, a name that is not listed.
    """
    if settings.model_names == "strict" and name and name not in model_names(settings):
        raise _not_found(name)


class Models:
    """`GET /v1/models` and /v1/models/{id}."""

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings

    async def list(self, request: HttpRequest) -> Response:
        data = [self._model(name) for name in model_names(self.settings)]
        return JSONResponse({"object": "list", "data": data})

    async def one(self, request: HttpRequest) -> Response:
        """One, or an ApiError."""
        name = request.path_params["model"]
        if name not in model_names(self.settings):
            raise _not_found(name)
        return JSONResponse(self._model(name))

    def _model(self, name: str) -> dict[str, Any]:
        owner = served_model(self.settings).partition("/")[0]
        return {"id": name, "object": "model", "created": CREATED, "owned_by": owner}


def _not_found(name: str) -> ApiError:
    message = f"model: {quoted(name)} is not one of those that /v1/models lists"
    return ApiError(404, "model_not_found", message, param="model")
