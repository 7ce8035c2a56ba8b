"""What the Hub's stand-in answers: a repository's routes, then an endpoint's."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

from hub_state import GATED, OWNER, TIME, HubState, Repository


def _model(hub: HubState, content: bytes, name: str) -> Any:
    if name in hub.repositories:
        there = hub.repositories[name]
        return {"id": name, "sha": there.sha, "private": there.private, "siblings": []}
    if name.startswith((OWNER, "nobody/")):
        return 404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"}
    return {"id": name, "gated": "manual" if name == GATED else False, "private": False}


def _auth_check(hub: HubState, content: bytes, name: str) -> Any:
    if name == GATED and name not in hub.accepted:
        return 403, {"error": "gated"}, {"X-Error-Code": "GatedRepo"}
    return {}


def _tree(hub: HubState, content: bytes, name: str) -> Any:
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


def _create_repository(hub: HubState, content: bytes) -> Any:
    asked = json.loads(content)
    name = f"{asked.get('organization') or OWNER}/{asked['name']}"
    hub.repositories.setdefault(name, Repository(asked["visibility"] == "private"))
    return {"url": f"{hub.url}/{name}"}


def _preupload(hub: HubState, content: bytes, name: str) -> Any:
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


def _lfs_batch(hub: HubState, content: bytes, name: str) -> Any:
    objects = json.loads(content)["objects"]
    for each in objects:
        each["actions"] = {"upload": {"href": f"{hub.url}/uploads/{each['oid']}"}}
    return {"transfer": "basic", "objects": objects}


def _commit(hub: HubState, content: bytes, name: str) -> Any:
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


def _hardware(hub: HubState, content: bytes, namespace: str) -> Any:
    return {
        "vendors": [{"name": "aws", "regions": [{"name": "us-east-1", "computes": hub.computes}]}]
    }


def _create_endpoint(hub: HubState, content: bytes, namespace: str) -> Any:
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


def _look(hub: HubState, content: bytes, namespace: str, name: str) -> Any:
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


def _update_endpoint(hub: HubState, content: bytes, namespace: str, name: str) -> Any:
    body = json.loads(content)
    if "secrets" in body["model"]:
        body["model"]["secrets"] = dict.fromkeys(body["model"]["secrets"])
    endpoint = hub.endpoints[name]
    endpoint["model"] |= body["model"]
    endpoint["compute"] |= body["compute"]
    endpoint["status"] |= {"state": "updating", "looks": 0}
    return endpoint


def _change_state(hub: HubState, content: bytes, namespace: str, name: str, verb: str) -> Any:
    endpoint = hub.endpoints[name]
    endpoint["status"] |= {"state": "paused" if verb == "pause" else "pending", "looks": 0}
    return endpoint


ROUTES: dict[str, Callable[..., Any]] = {
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
