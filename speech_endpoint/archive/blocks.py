"""How recordings are shared out: blocks of work, the longest first. Pure.

A block is what one worker does at once, what is written at once, and what is done again if its
machine dies. Which recordings make it up is written down before work begins and never changes:
whoever does it a second time replaces the same result.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from speech_endpoint.archive.recordings import Recording

MAX_RECORDINGS = 64
MAX_BYTES = 32 * 2**20
"""Of encoded audio: half an hour of FLAC, some minutes' work; a longer recording is alone."""
BLOCKS_PER_WORKER = 16
"""At least, where there are as many recordings: so the last worker is done soon after the first."""


@dataclass(frozen=True, slots=True)
class Block:
    """Recordings that are transcribed, written and counted together."""

    recordings: tuple[Recording, ...]

    @property
    def id(self) -> str:
        """The same for the same recordings."""
        names = "\0".join(recording.name for recording in self.recordings)
        return hashlib.sha256(names.encode("utf-8", "surrogatepass")).hexdigest()[:20]

    @property
    def n_bytes(self) -> int:
        return sum(recording.size for recording in self.recordings)

    def to_row(self) -> dict[str, Any]:
        """As a row of a table."""
        return {
            "path": [recording.path for recording in self.recordings],
            "row": [recording.row for recording in self.recordings],
            "size": [recording.size for recording in self.recordings],
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Block:
        """Out of a row of a table; its values may be NumPy's."""
        members = zip(row["path"], row["row"], row["size"], strict=True)
        return cls(tuple(Recording(str(path), int(n), int(size)) for path, n, size in members))


def pack(recordings: Iterable[Recording], n_workers: int) -> Iterator[Block]:
    """Every recording in one block, those of the largest recordings first.

    Args:
        recordings: each once.
        n_workers: as many as may be at work.
    """
    ordered = sorted(recordings, key=lambda each: (-each.size, each.path, each.row))
    n_blocks = max(1, n_workers) * BLOCKS_PER_WORKER
    max_recordings = min(MAX_RECORDINGS, max(1, len(ordered) // n_blocks))
    members: list[Recording] = []
    n_bytes = 0
    for recording in ordered:
        if members and (len(members) == max_recordings or n_bytes + recording.size > MAX_BYTES):
            yield Block(tuple(members))
            members, n_bytes = [], 0
        members.append(recording)
        n_bytes += recording.size
    if members:
        yield Block(tuple(members))
