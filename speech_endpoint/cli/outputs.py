"""Where transcripts are written, and which of them are there already.

An output is complete or not there: it is written beside its place under another name, then renamed.
A ledger in the folder says with which options each was made.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speech_endpoint.cli.inputs import Source

SUFFIXES = {"text": "txt"}
"""Of formats that are not called as their files are."""
LEDGER = ".speech.json"
PART = ".part"


def fingerprint(options: Mapping[str, Any]) -> str:
    """A short hash of what decides an output's content."""
    text = json.dumps(options, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Output:
    """One file to be written for one recording."""

    path: Path
    format: str

    @classmethod
    def of(cls, stem: Path, response_format: str) -> Output:
        """The output of a format, `stem` being its path without the format's suffix."""
        suffix = SUFFIXES.get(response_format, response_format)
        return cls(stem.with_name(f"{stem.name}.{suffix}"), response_format)


@dataclass(frozen=True, slots=True)
class Task:
    """One recording, and the files to be written for it."""

    source: Source
    outputs: tuple[Output, ...]


class OutputFolder:
    """Writes outputs, and knows those of earlier runs. May be used from several threads."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        """
        Args:
            options: all that decides what a transcript says: parameters, model, endpoint.
        """
        self._fingerprint = fingerprint(options)
        self._lock = threading.Lock()

    def is_up_to_date(self, task: Task) -> bool:
        """Whether all outputs of a recording are there, newer than it, made with these options."""
        if task.source.path is None:
            return False
        changed = task.source.path.stat().st_mtime
        return all(
            output.path.is_file()
            and output.path.stat().st_mtime >= changed
            and _read_ledger(output.path.parent).get(output.path.name) == self._fingerprint
            for output in task.outputs
        )

    def write(self, outputs: Mapping[Output, str]) -> None:
        """Write the outputs of one recording; whoever is killed meanwhile leaves none half done."""
        for output, content in outputs.items():
            output.path.parent.mkdir(parents=True, exist_ok=True)
            part = _part_of(output.path)
            part.write_text(content, encoding="utf-8", newline="")
        with self._lock:
            for folder in {output.path.parent for output in outputs}:
                names = [o.path.name for o in outputs if o.path.parent == folder]
                _add_to_ledger(folder, dict.fromkeys(names, self._fingerprint))
        for output in outputs:
            os.replace(_part_of(output.path), output.path)

    def discard(self, outputs: Sequence[Output]) -> None:
        """Remove what an interrupted run has left unfinished."""
        for output in outputs:
            _part_of(output.path).unlink(missing_ok=True)


def _part_of(path: Path) -> Path:
    return path.with_name(path.name + PART)


def _read_ledger(folder: Path) -> dict[str, str]:
    try:
        ledger = json.loads((folder / LEDGER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # A ledger that is lost or spoiled costs only the time to write the outputs again.
        return {}
    return ledger if isinstance(ledger, dict) else {}


def _add_to_ledger(folder: Path, entries: Mapping[str, str]) -> None:
    ledger = {
        name: value
        for name, value in _read_ledger(folder).items()
        if (folder / name).exists() or name in entries
    }
    part = _part_of(folder / LEDGER)
    part.write_text(json.dumps({**ledger, **entries}, indent=0, sort_keys=True), encoding="utf-8")
    os.replace(part, folder / LEDGER)
