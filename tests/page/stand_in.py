"""A server that replays recorded answers in the documented wire format, as slowly as it is told."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from speech_endpoint.server.page import page_routes

ANSWERS = Path(__file__).parent / "answers"
VOICEPRINT = "vp1.0123abcd.QUJD"
PREFIX = "/at/a/prefix"
"""The page works wherever a proxy puts it."""


def recorded(name: str) -> dict[str, Any]:
    """An answer of the real pipeline: deltas, and what is sent when it is done."""
    return json.loads((ANSWERS / f"{name}.json").read_text())


@dataclass
class Refusal:
    """An answer that is an error."""

    status: int
    message: str = "no"
    retry_after: int | None = None


@dataclass
class StandIn:
    """What it answers next, and what it was sent."""

    answers: deque[dict[str, Any] | Refusal] = field(default_factory=deque)
    """The next answers; the phone call where there is none."""
    fields: list[dict[str, list[str]]] = field(default_factory=list)
    """Of each request's form; a file is its name and type."""
    parts: list[tuple[float, float]] = field(default_factory=list)
    """Of recordings, that voiceprints were made of."""
    keys: list[str] = field(default_factory=list)
    """Of each request: the header."""
    release: threading.Event = field(default_factory=threading.Event)
    """Unset, streams stop after their first words."""
    hung_up: threading.Event = field(default_factory=threading.Event)
    diarization: bool = True
    port: int = 0

    def __post_init__(self) -> None:
        self.release.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{PREFIX}/"

    def start(self) -> uvicorn.Server:
        """Serve in a thread; any free port."""
        routes = [
            *page_routes(),
            Route("/v1/limits", self.limits),
            Route("/v1/audio/transcriptions", self.transcribe, methods=["POST"]),
            Route("/v1/audio/voiceprints", self.voiceprint, methods=["POST"]),
        ]
        app = Starlette(routes=[Mount(PREFIX, routes=routes)])
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
        threading.Thread(target=server.run, daemon=True).start()
        while not server.started:
            threading.Event().wait(0.01)
        self.port = server.servers[0].sockets[0].getsockname()[1]
        return server

    async def limits(self, request: Request) -> Response:
        return JSONResponse(
            {
                "max_file_bytes": 536_870_912,
                "max_audio_s": 14_400,
                "diarization": self.diarization,
                "known_speakers": self.diarization,
            }
        )

    async def voiceprint(self, request: Request) -> Response:
        form = await request.form()
        self.parts.append((float(str(form["start"])), float(str(form["end"]))))
        return JSONResponse({"object": "voiceprint", "voiceprint": VOICEPRINT})

    async def transcribe(self, request: Request) -> Response:
        form = await request.form(max_part_size=2**24)
        sent: dict[str, list[str]] = {}
        for name, value in form.multi_items():
            text = value if isinstance(value, str) else f"{value.filename} {value.size}"
            sent.setdefault(name, []).append(text)
        self.fields.append(sent)
        self.keys.append(request.headers.get("authorization", ""))
        answer = self.answers.popleft() if self.answers else recorded("phone_call")
        if isinstance(answer, Refusal):
            headers = {} if answer.retry_after is None else {"Retry-After": str(answer.retry_after)}
            error = {"message": answer.message, "type": "", "param": None, "code": ""}
            return JSONResponse({"error": error}, status_code=answer.status, headers=headers)
        return StreamingResponse(self.events(answer), media_type="text/event-stream")

    async def events(self, answer: dict[str, Any]) -> AsyncIterator[str]:
        is_done = False
        try:
            for text in _wire(answer):
                yield text
                while not self.release.is_set() and "delta" in text:
                    await asyncio.sleep(0.01)
            is_done = True
        finally:
            # Whoever hangs up has the answer cancelled where it waits.
            if not is_done:
                self.hung_up.set()


def _wire(answer: dict[str, Any]) -> Iterator[str]:
    duration = answer["done"]["duration"]
    yield _progress(0.0, None)
    for n, delta in enumerate(answer["deltas"]):
        yield _progress(delta["end"], duration)
        text = delta["text"] if n else delta["text"].lstrip()
        yield _event({"type": "transcript.text.delta", "delta": text})
    yield _progress(duration, duration)
    yield _event({"type": "transcript.text.done", **answer["done"]})
    yield "data: [DONE]\n\n"


def _progress(done_s: float, duration_s: float | None) -> str:
    fields = {"done_s": done_s, "duration_s": duration_s, "queue_s": 0}
    return f": progress {json.dumps(fields)}\n\n"


def _event(fields: dict[str, Any]) -> str:
    return f"event: {fields['type']}\ndata: {json.dumps(fields)}\n\n"
