"""Which recordings an archive holds, and their bytes: files below a prefix, rows of a data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs

from speech_endpoint.audio.decoding.formats import SUFFIXES

IS_FILE = -1
"""In place of a row: the recording is a file of its own."""
READ_ROWS = 16
"""Of a data set are held at once."""


class UnknownArchive(ValueError):
    """The source, or the destination, cannot be read or written; the message says why."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A file, or a row of a Parquet file as data sets on the Hub have them."""

    path: str
    """Below the source."""
    row: int = IS_FILE
    size: int = 0
    """Bytes of the encoded audio; of a row, the mean of its row group."""

    @property
    def name(self) -> str:
        """What its results are found by."""
        return self.path if self.row == IS_FILE else f"{self.path}#{self.row}"


@dataclass(frozen=True, slots=True)
class Archive:
    """Where recordings lie. Plain data: every machine opens its own connection."""

    url: str
    """A folder, or what fsspec knows: s3://bucket/prefix, hf://datasets/owner/name, …"""

    def check(self) -> None:
        """
        Raises:
            UnknownArchive: there is nothing.
        """
        fs, root = filesystem(self.url)
        if not fs.exists(root):
            raise UnknownArchive(f"{self.url}: nothing there")

    def find(self, pattern: str | None = None, leave_out: str | None = None) -> Iterator[Recording]:
        """Every recording, in no particular order.

        Args:
            pattern: of paths below the source (`*.mp3`); None: known suffixes.
            leave_out: a URL below which nothing counts: the destination may lie in the source.

        Raises:
            UnknownArchive: nothing can be listed there.
        """
        self.check()
        fs, root = filesystem(self.url)
        other = filesystem(leave_out)[1] if leave_out else None
        if fs.isfile(root):
            yield from _recordings(fs, fs._parent(root), fs.info(root), "*")
        # Folder by folder: a million of fsspec's own descriptions would be gigabytes.
        for folder, _, files in fs.walk(root, detail=True):
            if other is None or not f"{folder}/".startswith(f"{other.rstrip('/')}/"):
                for info in files.values():
                    yield from _recordings(fs, root, info, pattern)

    def read(self, recordings: Sequence[Recording]) -> Iterator[tuple[Recording, bytes]]:
        """The bytes of each, in the order given; a data set's pages are read once.

        Raises:
            OSError: a file cannot be read.
        """
        fs, root = filesystem(self.url)
        base = root if fs.isdir(root) else fs._parent(root)
        for path, members in groupby(recordings, lambda recording: recording.path):
            full, group = f"{base.rstrip('/')}/{path}", list(members)
            if group[0].row == IS_FILE:
                yield group[0], fs.cat_file(full)
            else:
                yield from _rows(fs, full, group)


def filesystem(url: str) -> tuple[AbstractFileSystem, str]:
    """What reads and writes a URL, and the URL's path there.

    Raises:
        UnknownArchive: no such protocol, or its package is not installed.
    """
    try:
        fs, path = url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise UnknownArchive(f"{url}: {error}") from None
    return fs, path


def _recordings(
    fs: AbstractFileSystem, root: str, info: dict[str, Any], pattern: str | None
) -> Iterator[Recording]:
    full = info["name"]
    path = PurePosixPath(full.removeprefix(root.rstrip("/")).lstrip("/"))
    if any(part.startswith(".") for part in path.parts):
        return
    if path.suffix.lower() == ".parquet":
        yield from _listed_rows(fs, full, str(path))
    elif path.match(pattern) if pattern else path.suffix.lower() in SUFFIXES:
        yield Recording(str(path), IS_FILE, int(info.get("size") or 0))


def _audio_column(schema: pa.Schema) -> str | None:
    """The first column of {"bytes": …, "path": …}: how `datasets` writes audio."""
    for field in schema:
        if pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0:
            return str(field.name)
    return None


def _listed_rows(fs: AbstractFileSystem, full: str, path: str) -> Iterator[Recording]:
    with fs.open(full) as stream:
        file = pq.ParquetFile(stream)
        column, row = _audio_column(file.schema_arrow), 0
        if column is None:
            return
        leaf = next(
            i for i in range(len(file.schema)) if file.schema.column(i).path == f"{column}.bytes"
        )
        for i in range(file.num_row_groups):
            group = file.metadata.row_group(i)
            size = group.column(leaf).total_uncompressed_size // max(1, group.num_rows)
            for _ in range(group.num_rows):
                yield Recording(path, row, size)
                row += 1


def _rows(
    fs: AbstractFileSystem, full: str, wanted: Sequence[Recording]
) -> Iterator[tuple[Recording, bytes]]:
    by_row = {recording.row: recording for recording in wanted}
    with fs.open(full) as stream:
        file, first = pq.ParquetFile(stream), 0
        column = _audio_column(file.schema_arrow)
        for i in range(file.num_row_groups):
            n_rows = file.metadata.row_group(i).num_rows
            if not any(first <= row < first + n_rows for row in by_row):
                first += n_rows
                continue
            batches = file.iter_batches(READ_ROWS, row_groups=[i], columns=[f"{column}.bytes"])
            for batch in batches:
                for value in batch.column(0):
                    if recording := by_row.get(first):
                        yield recording, (value.as_py() or {}).get("bytes") or b""
                    first += 1
