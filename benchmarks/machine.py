"""The machine that the figures come from."""

from __future__ import annotations

import datetime
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.process import machine_memory_gb

PACKAGES = ("torch", "transformers", "faster-whisper", "ctranslate2", "pyannote.audio", "numpy")
# What decides which number formats are fast.
FLAGS = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_bf16",
    "amx_int8",
)


def describe(threads: int) -> dict[str, object]:
    """CPU, memory, versions and the time, for the line above every table."""
    facts = _cpu_facts()
    return {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": facts.get("model name", platform.processor() or platform.machine()),
        "flags": [flag for flag in FLAGS if flag in facts.get("flags", "").split()],
        "cores": os.cpu_count(),
        "threads": threads,
        "memory_gb": round(machine_memory_gb(), 1),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def line(facts: dict[str, object]) -> str:
    """`describe` in one sentence."""
    flags, versions = facts["flags"], facts["versions"]
    assert isinstance(flags, list) and isinstance(versions, dict)
    packages = ", ".join(f"{name} {number}" for name, number in versions.items())
    return (
        f"{facts['cpu']} ({', '.join(flags)}), {facts['cores']} cores, {facts['threads']} threads, "
        f"{facts['memory_gb']} GB; Python {facts['python']}, {packages}; {facts['time']}"
    )


def _cpu_facts() -> dict[str, str]:
    """The first processor's lines of /proc/cpuinfo; nothing where there is no such file."""
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return {}
    pairs = (text.partition(":") for text in path.read_text().split("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
