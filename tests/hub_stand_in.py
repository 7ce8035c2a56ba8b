"""The Hub and its Inference Endpoints, as far as a deployment speaks with them, with a memory."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from stand_in import ANSWER

TOKEN = "hf_Secret0123456789"
OWNER = "ann"
TIME = "2026-01-01T00:00:00.000Z"
GATED = "pyannote/speaker-diarization-community-1"


def compute(kind: str, gpu_gb: int | None, price: float, **changed: Any) -> dict[str, Any]:
    """A row of the list of hardware."""
    row = {
        "id": f"aws-us-east-1-{kind}-x1",
        "accelerator": "gpu" if gpu_gb else "cpu",
        "instanceType": kind,
        "instanceSize": "x1",
        "architecture": kind,
        "numAccelerators": 1,
        "memoryGb": 16,
        "gpuMemoryGb": gpu_gb,
        "pricePerHour": price,
        "status": "available",
        "quota": {"maxAccelerators": 4, "usedAccelerators": 0},
    }
    return row | changed


COMPUTES = [
    compute("intel-spr", None, 0.1),
    compute("nvidia-t4", 16, 0.5),
    compute("nvidia-l4", 24, 0.8),
    compute("nvidia-a100", 80, 2.5),
]


@dataclass
class Repository:
    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    n_commits: int = 0

    @property
    def sha(self) -> str:
        return hashlib.sha1(str(self.n_commits).encode()).hexdigest()


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    body: Any


class Hub(ThreadingHTTPServer):
    """Answers as the Hub does, to the tokens that it knows."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lock = threading.RLock()
        self.asked: list[Asked] = []
        self.repositories: dict[str, Repository] = {}
        self.endpoints: dict[str, dict[str, Any]] = {}
        self.tokens = {TOKEN}
        self.accepted: set[str] = {GATED}
        """The gated models whose conditions the token's owner has accepted."""
        self.computes = COMPUTES
        self.first_state = "pending"
        self.states = ["initializing", "running"]
        """What a created or changed endpoint goes through after its first, one a look."""
        self.failure, self.log = "", ""
        self.refusals: dict[tuple[str, str], tuple[int, str]] = {}
        """(method, beginning of a path) to (status, message)."""
        self.transcribe: Callable[[dict[str, Any]], dict[str, Any]] = lambda body: ANSWER
        self.uploads: dict[str, bytes] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

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
        for pattern, answer in _ROUTES.items():
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


def _model(hub: Hub, content: bytes, name: str) -> Any:
    if name in hub.repositories:
        there = hub.repositories[name]
        return {"id": name, "sha": there.sha, "private": there.private, "siblings": []}
    if name.startswith((OWNER, "nobody/")):
        return 404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"}
    return {"id": name, "gated": "manual" if name == GATED else False, "private": False}


def _auth_check(hub: Hub, content: bytes, name: str) -> Any:
    if name == GATED and name not in hub.accepted:
        return 403, {"error": "gated"}, {"X-Error-Code": "GatedRepo"}
    return {}


def _tree(hub: Hub, content: bytes, name: str) -> Any:
    return [_entry(path, data) for path, data in hub.repositories[name].files.items()]


def _is_large(path: str) -> bool:
    return path.endswith((".safetensors", ".bin", ".png"))


def _entry(path: str, data: bytes) -> dict[str, Any]:
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    entry = {"type": "file", "path": path, "oid": blob, "size": len(data)}
    if _is_large(path):
        sha256 = hashlib.sha256(data).hexdigest()
        entry["lfs"] = {"oid": sha256, "size": len(data), "pointerSize": 100}
    return entry


def _create_repository(hub: Hub, content: bytes) -> Any:
    asked = json.loads(content)
    name = f"{asked.get('organization') or OWNER}/{asked['name']}"
    hub.repositories.setdefault(name, Repository(asked["visibility"] == "private"))
    return {"url": f"{hub.url}/{name}"}


def _preupload(hub: Hub, content: bytes, name: str) -> Any:
    return {
        "files": [
            {
                "path": file["path"],
                "uploadMode": "lfs" if _is_large(file["path"]) else "regular",
                "shouldIgnore": False,
            }
            for file in json.loads(content)["files"]
        ]
    }


def _lfs_batch(hub: Hub, content: bytes, name: str) -> Any:
    objects = json.loads(content)["objects"]
    for each in objects:
        each["actions"] = {"upload": {"href": f"{hub.url}/uploads/{each['oid']}"}}
    return {"transfer": "basic", "objects": objects}


def _commit(hub: Hub, content: bytes, name: str) -> Any:
    there = hub.repositories[name]
    for line in map(json.loads, content.splitlines()):
        value = line["value"]
        if line["key"] == "file":
            there.files[value["path"]] = base64.b64decode(value["content"])
        elif line["key"] == "lfsFile":
            there.files[value["path"]] = hub.uploads[value["oid"]]
        elif line["key"] == "deletedFile":
            del there.files[value["path"]]
    there.n_commits += 1
    return {
        "success": True,
        "commitOid": there.sha,
        "commitUrl": f"{hub.url}/{name}/commit/{there.sha}",
    }


def _hardware(hub: Hub, content: bytes, namespace: str) -> Any:
    return {
        "vendors": [{"name": "aws", "regions": [{"name": "us-east-1", "computes": hub.computes}]}]
    }


def _create_endpoint(hub: Hub, content: bytes, namespace: str) -> Any:
    body = json.loads(content)
    if body["name"] in hub.endpoints:
        return 409, {"error": "name in use"}, {"X-Error-Message": "name in use"}
    # Nobody can read a secret back.
    secrets = dict.fromkeys(body["model"].pop("secrets", {}))
    body["model"]["secrets"] = secrets
    status = {"state": hub.first_state, "createdAt": TIME, "updatedAt": TIME, "looks": 0}
    if hub.first_state == "running":
        status["url"] = f"{hub.url}/run/{body['name']}"
    hub.endpoints[body["name"]] = body | {"healthRoute": "/health", "status": status}
    return hub.endpoints[body["name"]]


def _look(hub: Hub, content: bytes, namespace: str, name: str) -> Any:
    if name not in hub.endpoints:
        return 404, {"error": "no such endpoint"}, {}
    endpoint = hub.endpoints[name]
    status = endpoint["status"]
    if status["state"] != "paused":
        status["state"] = hub.states[min(status["looks"], len(hub.states) - 1)]
    status["looks"] += 1
    if status["state"] == "running":
        status["url"] = f"{hub.url}/run/{name}"
    if status["state"] == "failed":
        status["message"] = hub.failure
    return endpoint


def _update_endpoint(hub: Hub, content: bytes, namespace: str, name: str) -> Any:
    body = json.loads(content)
    if "secrets" in body["model"]:
        body["model"]["secrets"] = dict.fromkeys(body["model"]["secrets"])
    endpoint = hub.endpoints[name]
    endpoint["model"] |= body["model"]
    endpoint["compute"] |= body["compute"]
    endpoint["status"] |= {"state": "updating", "looks": 0}
    return endpoint


def _change_state(hub: Hub, content: bytes, namespace: str, name: str, verb: str) -> Any:
    endpoint = hub.endpoints[name]
    endpoint["status"] |= {"state": "paused" if verb == "pause" else "pending", "looks": 0}
    return endpoint


_ROUTES: dict[str, Callable[..., Any]] = {
    r"GET /api/whoami-v2": lambda hub, content: {"type": "user", "name": OWNER},
    r"GET /api/models/([^/]+/[^/]+)/auth-check": _auth_check,
    r"GET /api/models/([^/]+/[^/]+)/tree/main": _tree,
    r"GET /api/models/([^/]+/[^/]+)": _model,
    r"POST /api/validate-yaml": lambda hub, content: {"errors": [], "warnings": []},
    r"POST /api/repos/create": _create_repository,
    r"POST /api/models/([^/]+/[^/]+)/preupload/main": _preupload,
    r"POST /api/models/([^/]+/[^/]+)/commit/main": _commit,
    r"POST /([^/]+/[^/]+)\.git/info/lfs/objects/batch": _lfs_batch,
    r"GET /v2/provider/([^/]+)": _hardware,
    r"POST /v2/endpoint/([^/]+)": _create_endpoint,
    r"GET /v2/endpoint/([^/]+)/([^/]+)/logs": lambda hub, content, *_: hub.log,
    r"GET /v2/endpoint/([^/]+)/([^/]+)": _look,
    r"PUT /v2/endpoint/([^/]+)/([^/]+)": _update_endpoint,
    r"POST /v2/endpoint/([^/]+)/([^/]+)/(pause|resume)": _change_state,
    r"GET /run/([^/]+)/health": lambda hub, content, name: "Ok",
    r"POST /run/([^/]+)": lambda hub, content, name: hub.transcribe(json.loads(content)),
}


@contextmanager
def hub_stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub of this process, which huggingface_hub then takes for the real one."""
    from huggingface_hub import constants

    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
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
