"""Where transcripts are written, and which of them are there already.

An output is complete or not there: it is written beside its place under another name, then renamed.
A ledger in the folder says with which options each was made. A line is added to it before an output
is replaced and another one after: whoever is killed in between makes it again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from speech_endpoint.cli.inputs import Source
from speech_endpoint.parameters import InferenceConfig

SUFFIXES = {"text": "txt"}
"""Of formats that are not called as their files are."""
FORMATS: tuple[str, ...] = get_args(InferenceConfig.model_fields["response_format"].annotation)
LEDGER = ".speech.jsonl"
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


def format_of(path: Path) -> str | None:
    """The format that a file's suffix stands for, if any."""
    formats = {SUFFIXES.get(name, name): name for name in FORMATS}
    return formats.get(path.suffix.removeprefix(".").lower())


def output_stems(sources: Sequence[Source], folder: Path | None) -> list[Path]:
    """What the outputs of each recording are called, but for their suffix.

    That is the recording's name without its own suffix; with it where two would have one name
    (a.mp3 and a.wav, or a.mp3 and a.mp3.ogg), or an output would be the recording (a.json). Where
    two folders that were named both have a recording of that name, theirs are kept apart.

    Args:
        sources: no two are the same file.
        folder: for the outputs; None: each beside its recording.
    """
    if folder is None:
        whole = [source.path or source.relative for source in sources]
    else:
        counts = Counter(source.relative for source in sources)
        paths = [source.path.absolute() for source in sources if source.path]
        common = Path(os.path.commonpath(path.parent for path in paths)) if paths else Path()
        whole = [
            folder / source.path.absolute().relative_to(common)
            if source.path and counts[source.relative] > 1
            else folder / source.relative
            for source in sources
        ]
    counts = Counter(path.with_suffix("") for path in whole) + Counter(whole)
    return [
        path if counts[path.with_suffix("")] > 1 or format_of(path) else path.with_suffix("")
        for path in whole
    ]


class OutputFolder:
    """Writes outputs, and knows those of earlier runs. May be used from several threads."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        """
        Args:
            options: all that decides what a transcript says: parameters, model, endpoint.
        """
        self._fingerprint = fingerprint(options)
        self._lock = threading.Lock()
        self._ledgers: dict[Path, dict[str, str]] = {}
        """As they were when a folder was first asked about."""

    def is_up_to_date(self, task: Task) -> bool:
        """Whether all outputs of a recording are there, newer than it, made with these options."""
        if task.source.path is None:
            return False
        try:
            changed = task.source.path.stat().st_mtime
            return all(self._is_there(output.path, changed) for output in task.outputs)
        except OSError:
            # Whoever tries to make it is told why that cannot be.
            return False

    def _is_there(self, path: Path, changed: float) -> bool:
        folder = path.parent
        if folder not in self._ledgers:
            self._ledgers[folder] = _read_ledger(folder)
        made_with = self._ledgers[folder].get(path.name)
        return made_with == self._fingerprint and path.stat().st_mtime >= changed

    def reserve(self, outputs: Sequence[Output]) -> None:
        """Find out whether outputs can be written, before there is anything to write.

        Raises:
            OSError: they cannot.
        """
        try:
            for output in outputs:
                output.path.parent.mkdir(parents=True, exist_ok=True)
                _part_of(output.path).touch()
        except OSError:
            self.discard(outputs)
            raise

    def write(self, outputs: Mapping[Output, str]) -> None:
        """Write the outputs of one recording, which were reserved.

        Whoever is killed meanwhile leaves none half done.

        Raises:
            OSError: one cannot be written; the others are not either.
        """
        try:
            for output, content in outputs.items():
                _part_of(output.path).write_text(content, encoding="utf-8", newline="")
            self._note(outputs, "")
            for output in outputs:
                os.replace(_part_of(output.path), output.path)
            self._note(outputs, self._fingerprint)
        except OSError:
            self.discard(tuple(outputs))
            raise

    def _note(self, outputs: Iterable[Output], made_with: str) -> None:
        with self._lock:
            for output in outputs:
                with (output.path.parent / LEDGER).open("a", encoding="utf-8") as ledger:
                    ledger.write(json.dumps({output.path.name: made_with}) + "\n")

    def discard(self, outputs: Sequence[Output]) -> None:
        """Remove what an interrupted run has left unfinished."""
        for output in outputs:
            with contextlib.suppress(OSError):
                _part_of(output.path).unlink()


def _part_of(path: Path) -> Path:
    return path.with_name(path.name + PART)


def _read_ledger(folder: Path) -> dict[str, str]:
    """What each output was made with; of several lines the last counts."""
    ledger: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for line in (folder / LEDGER).read_text(encoding="utf-8", errors="replace").splitlines():
            # A line that is spoiled costs only the time to write an output again.
            with contextlib.suppress(ValueError, TypeError):
                ledger |= json.loads(line)
    return ledger
