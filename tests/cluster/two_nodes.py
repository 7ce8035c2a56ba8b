"""Two nodes on one machine, each a real Ray node of its own processes."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import ray
import requests
import yaml
from paths import MODELS, REPOSITORY
from ray import serve
from ray.cluster_utils import Cluster
from ray.serve.context import _get_global_client
from ray.serve.schema import ServeDeploySchema

ENVIRONMENT = {
    "ASR_MODEL": str(MODELS / "whisper-tiny.en"),
    "DIARIZATION_MODEL": str(MODELS / "speaker-diarization"),
    "HOST": "127.0.0.1",
    "LOG_FORMAT": "text",
    "MAX_REQUESTS": "16",
    "MAX_WAIT_S": "600",
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": str(REPOSITORY),
    "RAY_USAGE_STATS_ENABLED": "0",
}
NODE = {"num_cpus": 4, "object_store_memory": 300 * 2**20}
CONFIGURATION = REPOSITORY / "deploy" / "ray" / "serve.yaml"


def configuration(n_transcribers: int, version: int = 0) -> ServeDeploySchema:
    """The file that `make cluster` runs, with so many replicas; another version is an update."""
    content: dict[str, Any] = yaml.safe_load(CONFIGURATION.read_text())
    (application,) = content["applications"]
    del application["autoscaling_policy"]
    application["args"] = {"repository": str(REPOSITORY)}
    environment = {"VERSION": str(version)}
    replicas = {"Ingress": 2, "Transcriber": n_transcribers, "Diarizer": 1}
    application["deployments"] = [
        {
            "name": name,
            "num_replicas": n,
            "ray_actor_options": {"num_cpus": 1, "runtime_env": {"env_vars": environment}},
        }
        for name, n in replicas.items()
    ]
    return ServeDeploySchema.model_validate(content)


class TwoNodes:
    """A cluster, and what a test does to it."""

    def __enter__(self) -> Self:
        self._before = dict(os.environ)
        os.environ.update(ENVIRONMENT)
        self._cluster = Cluster(initialize_head=True, head_node_args=NODE)
        self._cluster.add_node(**NODE)
        ray.init(address=self._cluster.address, log_to_driver=False)
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        self.deploy(n_transcribers=2)
        return self

    def __exit__(self, *error: object) -> None:
        serve.shutdown()
        ray.shutdown()
        self._cluster.shutdown()
        os.environ.clear()
        os.environ.update(self._before)

    def deploy(self, n_transcribers: int, version: int = 0) -> None:
        """Have so many replicas, of that version; returns when they are there."""
        wanted = configuration(n_transcribers, version)
        _get_global_client().deploy_apps(wanted, _blocking=True)

    def kill_one(self, deployment: str) -> None:
        """SIGKILL a replica's process."""
        os.kill(next(self._replicas(deployment))["Pid"], signal.SIGKILL)

    def n_open(self, deployment: str) -> int:
        """Calls that all replicas of a deployment are at work on."""
        replicas = [
            ray.get_actor(actor["Name"], namespace="serve") for actor in self._replicas(deployment)
        ]
        open_calls = ray.get([each.get_num_ongoing_requests.remote() for each in replicas])
        return sum(open_calls)

    def _replicas(self, deployment: str) -> Iterator[dict[str, Any]]:
        # Ray's state API would want its dashboard.
        for actor in ray._private.state.actors().values():
            if actor["State"] == "ALIVE" and f"speech#{deployment}#" in actor["Name"]:
                yield actor

    def transcribe(self, file: Path, **fields: Any) -> requests.Response:
        """Ask for a file's text."""
        return self.post("transcriptions", file, model="whisper-1", **fields)

    def post(self, route: str, file: Path, **fields: Any) -> requests.Response:
        """Send a file."""
        return requests.post(
            f"{self.url}/v1/audio/{route}",
            data=fields,
            files={"file": (file.name, file.read_bytes())},
            stream=fields.get("stream") == "true",
            timeout=120,
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
