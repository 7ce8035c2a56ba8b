"""The application with a script for a service, and calls of its main route."""

from __future__ import annotations

import httpx
from scripted import SECRET
from served import ScriptedService, Served

from speech_endpoint.server.app import create_app
from speech_endpoint.server.settings import ServerSettings

MODELS = {"asr_model": "openai/whisper-base", "diarization_model": "a/b"}
ROUTE = "/v1/audio/transcriptions"


def served(service: ScriptedService, **settings) -> Served:
    return Served(create_app(service, ServerSettings(**MODELS, **settings), keep_alive_s=0.05))


def post(url: str, headers: dict | None = None, **fields) -> httpx.Response:
    files = {"file": (f"{SECRET}.wav", b"RIFF")}
    return httpx.post(url + ROUTE, files=files, data=fields, headers=headers, timeout=30)


def error_of(answer: httpx.Response) -> dict:
    (error,) = answer.json().values()
    assert set(error) == {"message", "type", "param", "code"}
    return error
