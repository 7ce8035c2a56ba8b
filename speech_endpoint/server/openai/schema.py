"""The API's description (OpenAPI 3.1), made of the types that answers are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from speech_endpoint import __version__
from speech_endpoint.config import InferenceConfig
from speech_endpoint.output.openai_shapes import (
    DiarizationJson,
    DiarizedJson,
    Json,
    VerboseJson,
    VoiceprintJson,
)
from speech_endpoint.server.openai.fields import (
    FORMATS,
    GRANULARITIES,
    INCLUDES,
    LISTS,
    PARAMETERS,
)
from speech_endpoint.server.settings import ServerSettings

Schema = dict[str, Any]
SHAPES = (Json, VerboseJson, DiarizedJson, DiarizationJson, VoiceprintJson)
REF = "#/components/schemas/{model}"
STRINGS: Schema = {"type": "array", "items": {"type": "string"}}
TEXT: Schema = {"schema": {"type": "string"}}
PROBES = {
    "/health": "Whether the process is of use.",
    "/ready": "Whether requests are served.",
    "/ping": "SageMaker's and RunPod's probe.",
    "/metrics": "Figures for Prometheus.",
    "/v1/limits": "What a request may be.",
    "/v1/models": "What is loaded.",
}


class OpenApi:
    """`GET /openapi.json`."""

    def __init__(self, settings: ServerSettings) -> None:
        self._document = openapi(keys=settings.has_keys)

    async def document(self, request: HttpRequest) -> Response:
        return JSONResponse(self._document)


def openapi(*, keys: bool) -> Schema:
    """The document.

    Args:
        keys: whether callers need one.
    """
    document: Schema = {
        "openapi": "3.1.0",
        "info": {"title": "speech-endpoint", "version": __version__},
        "paths": _paths(),
        "components": {"schemas": _schemas()},
    }
    if keys:
        document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"key": []}]
    return document


def _paths() -> Schema:
    audio = [{"$ref": REF.format(model=shape.__name__)} for shape in SHAPES[:3]]
    texts = ("text/plain", "application/x-subrip", "text/vtt", "text/tab-separated-values")
    answers = {"application/json": {"schema": {"anyOf": audio}}, "text/event-stream": TEXT}
    answers |= dict.fromkeys(texts, TEXT)
    form, diarization, clip = _form(FORMATS), _form(("json", "rttm")), _clip()
    who = {"application/json": {"schema": {"$ref": REF.format(model="DiarizationJson")}}}
    voiceprint = {"application/json": {"schema": {"$ref": REF.format(model="VoiceprintJson")}}}
    host = {"application/json": {"schema": {"$ref": REF.format(model="HostRequest")}}}
    host["audio/*"] = {"schema": {"type": "string", "format": "binary"}}
    paths: Schema = {
        "/v1/audio/transcriptions": {"post": _operation("Write down what is said.", form, answers)},
        "/v1/audio/translations": {"post": _operation("Write it in English.", form, answers)},
        "/v1/audio/diarization": {"post": _operation("Who spoke when.", diarization, who)},
        "/v1/audio/voiceprints": {"post": _operation("Know a voice again.", clip, voiceprint)},
        "/": {"post": _operation("As an Inference Endpoint.", host, _any_json())},
    }
    for path, what in PROBES.items():
        content = {"text/plain": TEXT} if path == "/metrics" else _any_json()
        paths[path] = {"get": _operation(what, None, content)}
    return paths


def _operation(summary: str, content: Schema | None, answers: Schema) -> Schema:
    error = {"application/json": {"schema": {"$ref": REF.format(model="Error")}}}
    operation: Schema = {
        "summary": summary,
        "responses": {
            "200": {"description": "The answer.", "content": answers},
            "default": {"description": "What is wrong.", "content": error},
        },
    }
    if content is not None:
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _any_json() -> Schema:
    return {"application/json": {"schema": {"type": "object"}}}


def _form(formats: Sequence[str]) -> Schema:
    own = InferenceConfig.model_json_schema()["properties"]
    properties: Schema = {name: own[name] for name in sorted(PARAMETERS - LISTS)}
    properties |= {
        "file": {"type": "string", "format": "binary"},
        "model": {"type": "string", "description": "Any name is served by what is loaded."},
        "languages[]": STRINGS,
        "keywords[]": STRINGS,
        "known_speaker_names[]": STRINGS,
        "known_speaker_references[]": STRINGS,
        "response_format": {"type": "string", "enum": list(formats), "default": "json"},
        "timestamp_granularities[]": _list_of(GRANULARITIES),
        "include[]": _list_of(INCLUDES),
        "stream": {"type": "boolean", "default": False},
    }
    schema = {"type": "object", "required": ["file"], "properties": properties}
    return {"multipart/form-data": {"schema": schema}}


def _clip() -> Schema:
    seconds: Schema = {"type": "number", "minimum": 0}
    properties = {"file": {"type": "string", "format": "binary"}, "start": seconds, "end": seconds}
    schema = {"type": "object", "required": ["file"], "properties": properties}
    return {"multipart/form-data": {"schema": schema}}


def _list_of(values: Sequence[str]) -> Schema:
    return {"type": "array", "items": {"type": "string", "enum": list(values)}}


def _schemas() -> Schema:
    inputs = [(shape.__name__, "serialization", TypeAdapter(shape)) for shape in SHAPES]
    _, definitions = TypeAdapter.json_schemas(inputs, ref_template=REF)  # type: ignore[arg-type]
    schemas: Schema = dict(definitions["$defs"])
    schemas["HostRequest"] = {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "inputs": {"type": "string", "contentEncoding": "base64"},
            "parameters": InferenceConfig.model_json_schema(),
        },
    }
    error = {"message": {"type": "string"}, "type": {"type": "string"}}
    nullable = {"param": {"type": ["string", "null"]}, "code": {"type": ["string", "null"]}}
    schemas["Error"] = {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["message", "type", "param", "code"],
                "properties": error | nullable,
            }
        },
    }
    return schemas
