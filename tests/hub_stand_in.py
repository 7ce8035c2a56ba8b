"""The Hub and its Inference Endpoints, as far as a deployment speaks with them, with a memory."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from hub_routes import ROUTES
from hub_state import TOKEN, HubState


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    body: Any


class Hub(HubState, ThreadingHTTPServer):
    """Answers as the Hub does, to the tokens that it knows."""

    def __init__(self) -> None:
        HubState.__init__(self)
        ThreadingHTTPServer.__init__(self, ("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.lock = threading.RLock()
        self.asked: list[Asked] = []

    def bodies(self, method: str, part: str) -> list[Any]:
        """What was sent to paths that begin so."""
        return [
            each.body for each in self.asked if each.method == method and each.path.startswith(part)
        ]

    def writes(self) -> list[Asked]:
        """What was asked for that changes something."""
        return [each for each in self.asked if each.method != "GET"]


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        content = self.rfile.read(length)
        path = urlsplit(self.path).path
        with self.server.lock:
            self.server.asked.append(Asked(self.command, path, _parsed(content)))
            status, body, headers = self._answer(path, content)
        sent = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, path: str, content: bytes) -> tuple[int, Any, dict[str, str]]:
        for (method, start), (status, message) in self.server.refusals.items():
            if method == self.command and path.startswith(start):
                return status, {"error": message}, {"X-Error-Message": message}
        if path.startswith("/uploads/"):
            self.server.uploads[path.rpartition("/")[2]] = content
            return 200, {}, {}
        if (self.headers.get("Authorization") or "").removeprefix(
            "Bearer "
        ) not in self.server.tokens:
            return 401, {"error": "Invalid credentials"}, {}
        for pattern, answer in ROUTES.items():
            found = re.fullmatch(pattern, f"{self.command} {path}")
            if found:
                result = answer(self.server, content, *found.groups())
                return result if isinstance(result, tuple) else (200, result, {})
        return 404, {"error": "not found"}, {}


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content) if content else None
    except ValueError:
        return content


@contextmanager
def hub_stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub of this process, which huggingface_hub then takes for the real one."""
    from huggingface_hub import constants, hf_api

    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    # Functions of the module's top belong to one that was made when it was imported.
    monkeypatch.setattr(hf_api.api, "endpoint", hub.url)
    monkeypatch.setattr(constants, "INFERENCE_ENDPOINTS_ENDPOINT", f"{hub.url}/v2")
    # Its way of uploading large files has a protocol of its own; this is LFS's.
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    try:
        yield hub
    finally:
        hub.shutdown()
        thread.join()
        hub.server_close()
