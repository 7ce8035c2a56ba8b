"""What the Hub's stand-in remembers, and the hardware that it offers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

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


class HubState:
    """Repositories, endpoints, and how they fare."""

    url: str

    def __init__(self) -> None:
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
