"""An HTTP server that answers what it is told to, one answer a request."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar


@dataclass
class Answer:
    status: int
    body: Any = None
    """Sent as JSON, unless it is bytes."""
    headers: Mapping[str, str] = field(default_factory=dict)


# Of an endpoint of this project, asked for words.
_WORD = {"text": " Hello.", "timestamp": [0.0, 0.5], "probability": 0.9, "speaker": "SPEAKER_00"}
ANSWER = {
    "text": " Hello.",
    "chunks": [{"text": " Hello.", "timestamp": [0.0, 0.5], "words": [_WORD]}],
    "speakers": [
        {"speaker": "SPEAKER_00", "text": " Hello.", "timestamp": [0.0, 0.5], "words": [_WORD]}
    ],
    "language": "en",
    "duration": 1.0,
    "warnings": [],
}
BUSY = Answer(503, {"error": "starting"}, {"Retry-After": "0"})


class StandIn(ThreadingHTTPServer):
    """Plays a list of answers; the last one is repeated."""

    def __init__(self, answers: list[Answer]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers, self.requests = answers, []
        self.lock = threading.Lock()

    def answer(self, body: bytes) -> Answer:
        """What a request is answered; subclasses decide otherwise."""
        with self.lock:
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: StandIn

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.requests.append((self.path, dict(self.headers), body))
        answer = self.server.answer(body)
        is_raw = isinstance(answer.body, bytes)
        content = answer.body if is_raw else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


Server = TypeVar("Server", bound=StandIn)


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def stand_in(*answers: Answer) -> AbstractContextManager[StandIn]:
    return serving(StandIn(list(answers)))
