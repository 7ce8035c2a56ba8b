"""Where an archive's results lie, and what of them is there already: the results say so themselves.

    DEST/transcripts/part-ID.parquet   a file a block; where it is, the block is done
    DEST/errors/part-ID.parquet        of the same block, where recordings of it failed
    DEST/_work/job.json                what decides what a transcript says
    DEST/_work/plan-N.parquet          which recordings make up which block
    DEST/_work/pending.parquet         the blocks that the latest run found not done
    DEST/_work/tries/ID.json           blocks that were begun

A file is complete or not there. A block's name follows from its recordings, and no recording is in
two blocks: what is done twice, by a worker that was given up for dead, replaces itself.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from speech_endpoint.archive.blocks import Block
from speech_endpoint.archive.recordings import UnknownArchive, filesystem
from speech_endpoint.archive.tables import (
    ERRORS,
    ROWS_PER_GROUP,
    TRANSCRIPTS,
    Format,
    Row,
    serialised,
)

PLAN = pa.schema(
    [
        ("path", pa.list_(pa.string())),
        ("row", pa.list_(pa.int64())),
        ("size", pa.list_(pa.int64())),
    ]
)
"""A row a block."""


@dataclass(frozen=True, slots=True)
class Tries:
    """How often a block was begun and never finished, and its recordings alone."""

    together: int = 0
    alone: Mapping[str, int] = field(default_factory=dict)

    def again(self) -> Tries:
        """One more, all recordings together."""
        return replace(self, together=self.together + 1)

    def again_alone(self, name: str) -> Tries:
        """One more, of a recording alone."""
        return replace(self, alone={**self.alone, name: self.alone.get(name, 0) + 1})

    def survived(self, name: str) -> Tries:
        """That one was done alone."""
        return replace(self, alone={**self.alone, name: 0})


class Store:
    """A destination. Plain data: every machine opens its own connection."""

    def __init__(self, url: str, table_format: Format) -> None:
        self.url, self.format = url, table_format

    def open(self, identity: Mapping[str, Any]) -> None:
        """Begin, or go on.

        Args:
            identity: all that decides what a transcript says, in JSON's types.

        Raises:
            UnknownArchive: transcripts of other options are there, or nothing can be written.
        """
        wanted = {"format": self.format, **identity}
        try:
            there = json.loads(self._read("_work/job.json"))
        except FileNotFoundError:
            self._write("_work/job.json", json.dumps(wanted, sort_keys=True, indent=1).encode())
            return
        changed = sorted(k for k in {*there, *wanted} if there.get(k) != wanted.get(k))
        if changed:
            what = ", ".join(f"{k} is {there.get(k)!r} there" for k in changed)
            raise UnknownArchive(f"{self.url}: made with other options ({what}); name another")

    def plans(self) -> list[str]:
        """Of all runs, in their order: names of tables of `PLAN`."""
        names = (n for n in self._names("_work") if n.startswith("plan-"))
        return sorted(names, key=lambda name: int(name[5:].split(".")[0]))

    def blocks(self) -> Iterator[Block]:
        """Those of all plans."""
        for name in self.plans():
            yield from self.read_plan(name)

    def add_plan(self, blocks: Iterable[Block]) -> None:
        """Say which recordings belong together, once and for all."""
        if rows := [block.to_row() for block in blocks]:
            name = f"_work/plan-{len(self.plans()) + 1}.parquet"
            self._write(name, serialised(rows, PLAN, "parquet"))

    def set_pending(self, blocks: Iterable[Block]) -> None:
        """Say which blocks this run is to do."""
        rows = [block.to_row() for block in blocks]
        self._write("_work/pending.parquet", serialised(rows, PLAN, "parquet"))

    def pending(self, number: int) -> Block:
        """One of them."""
        fs, root = filesystem(self.url)
        with fs.open(f"{root}/_work/pending.parquet") as stream:
            group, row = divmod(number, ROWS_PER_GROUP)
            rows = pq.ParquetFile(stream).read_row_group(group).slice(row, 1)
        return Block.from_row(rows.to_pylist()[0])

    def read_plan(self, name: str) -> Iterator[Block]:
        """The blocks of one plan, in its order."""
        fs, root = filesystem(self.url)
        with fs.open(f"{root}/_work/{name}") as stream:
            for batch in pq.ParquetFile(stream).iter_batches(1024):
                yield from map(Block.from_row, batch.to_pylist())

    def done(self) -> set[str]:
        """The blocks that are."""
        return {self._id(name) for name in self._names("transcripts") if self._is_part(name)}

    def is_done(self, block: Block) -> bool:
        """Whether this one is."""
        fs, root = filesystem(self.url)
        # Listings of object stores are cached: what another machine writes would not be seen.
        fs.invalidate_cache()
        return bool(fs.exists(f"{root}/{self._part('transcripts', block)}"))

    def write(self, block: Block, transcripts: list[Row], errors: list[Row]) -> None:
        """Write a block's results. The transcripts come last: where they are, the rest is."""
        part = self._part("errors", block)
        if errors:
            self._write(part, serialised(errors, ERRORS, self.format))
        else:
            self._remove(part)
        rows = serialised(transcripts, TRANSCRIPTS, self.format)
        self._write(self._part("transcripts", block), rows)
        self._remove(f"_work/tries/{block.id}.json")

    def forget_failures(self) -> None:
        """Have the blocks in which recordings failed done again."""
        for name in self._names("errors"):
            self._remove(f"transcripts/{name}")

    def tries(self, block: Block) -> Tries:
        """How often it was begun."""
        try:
            return Tries(**json.loads(self._read(f"_work/tries/{block.id}.json")))
        except FileNotFoundError:
            return Tries()

    def note(self, block: Block, tries: Tries) -> None:
        """It is about to be begun."""
        text = json.dumps({"together": tries.together, "alone": dict(tries.alone)})
        self._write(f"_work/tries/{block.id}.json", text.encode())

    def tidy(self) -> None:
        """Remove what a killed writer has left half written."""
        for folder in ("transcripts", "errors", "_work", "_work/tries"):
            for name in self._names(folder):
                if name.startswith("."):
                    self._remove(f"{folder}/{name}")

    def _part(self, table: str, block: Block) -> str:
        return f"{table}/part-{block.id}.{self.format}"

    def _is_part(self, name: str) -> bool:
        return name.startswith("part-") and name.endswith(f".{self.format}")

    def _id(self, name: str) -> str:
        return name.removeprefix("part-").removesuffix(f".{self.format}")

    def _names(self, folder: str) -> list[str]:
        fs, root = filesystem(self.url)
        fs.invalidate_cache()
        try:
            found = fs.ls(f"{root}/{folder}", detail=False)
        except FileNotFoundError:
            return []
        return [path.rstrip("/").rsplit("/", 1)[-1] for path in found]

    def _read(self, name: str) -> bytes:
        fs, root = filesystem(self.url)
        content: bytes = fs.cat_file(f"{root}/{name}")
        return content

    def _write(self, name: str, content: bytes) -> None:
        fs, root = filesystem(self.url)
        path = f"{root}/{name}"
        if not isinstance(fs, LocalFileSystem):
            # One PUT: an object store shows an object when it is complete.
            fs.pipe_file(path, content)
            return
        folder, base = os.path.split(path)
        os.makedirs(folder, exist_ok=True)
        # Readers of tables pass over what begins with a dot.
        unfinished = os.path.join(folder, f".{base}.{uuid.uuid4().hex}")
        with open(unfinished, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(unfinished, path)

    def _remove(self, name: str) -> None:
        fs, root = filesystem(self.url)
        _unless_missing(lambda: fs.rm_file(f"{root}/{name}"))


def _unless_missing(remove: Callable[[], Any]) -> None:
    try:
        remove()
    except FileNotFoundError:
        return
