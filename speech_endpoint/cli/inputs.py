"""Which files a command line means."""

from __future__ import annotations

import fnmatch
import glob
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from speech_endpoint.audio.decoding.formats import SUFFIXES

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Source:
    """A recording, and the path under the outputs' folder that its outputs are named after."""

    path: Path | None
    """None: standard input."""
    relative: Path
    """Of the folder that was named; the file's name where it was named itself."""

    @property
    def name(self) -> str:
        return STDIN if self.path is None else str(self.path)

    @property
    def size(self) -> int:
        """Bytes; 0 where nobody knows before it is read."""
        try:
            return 0 if self.path is None else self.path.stat().st_size
        except OSError:
            return 0

    def read(self) -> bytes:
        """The whole file."""
        return sys.stdin.buffer.read() if self.path is None else self.path.read_bytes()


def find_sources(
    names: Iterable[str], pattern: str | None = None, *, recursive: bool = False
) -> list[Source]:
    """The recordings that are meant, each once, in the order of the names.

    Args:
        names: files, folders, patterns that no shell has expanded, or "-".
        pattern: of file names that are taken from folders; None: known suffixes.
        recursive: whether folders within folders are walked.

    Raises:
        FileNotFoundError: a name that is nothing.
    """
    found: dict[Path | None, Source] = {}
    for name in names:
        for source in _sources(name, pattern, recursive):
            found.setdefault(source.path and source.path.resolve(), source)
    return list(found.values())


def _sources(name: str, pattern: str | None, recursive: bool) -> Iterator[Source]:
    if name == STDIN:
        yield Source(None, Path("stdin"))
        return
    path = Path(name)
    # A shell that does not expand patterns hands them on.
    matches = [path] if path.exists() else sorted(map(Path, glob.glob(name, recursive=True)))
    if not matches:
        raise FileNotFoundError(name)
    for match in matches:
        if match.is_dir():
            yield from _in_folder(match, pattern, recursive)
        else:
            yield Source(match, Path(match.name))


def _in_folder(folder: Path, pattern: str | None, recursive: bool) -> Iterator[Source]:
    for path in sorted(folder.rglob("*") if recursive else folder.iterdir()):
        relative = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in relative.parts)
        if not hidden and _is_meant(path, pattern) and path.is_file():
            yield Source(path, relative)


def _is_meant(path: Path, pattern: str | None) -> bool:
    if pattern is None:
        return path.suffix.lower() in SUFFIXES
    return fnmatch.fnmatch(path.name, pattern)
