"""The files of a checkpoint: which there are, and what is wrong with one that cannot be read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

SAFETENSORS, PICKLED = "model.safetensors", "pytorch_model.bin"
INDEX_SUFFIX = ".index.json"
TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "merges.txt", "added_tokens.json")
SMALL_FILES = (
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer_config.json",
    "adapter_config.json",
    *TOKENIZER_FILES,
)
LFS_POINTER = b"version https://git-lfs"

Content = TypeVar("Content", bound=BaseModel)


class UnusableCheckpoint(ValueError):
    """Which file of a checkpoint cannot be used, why, and the remedy."""


def files_to_download(names: Sequence[str]) -> list[str]:
    """Those of a repository's files that a checkpoint is read from."""
    stems = [SAFETENSORS.removesuffix(".safetensors"), PICKLED.removesuffix(".bin")]
    for stem, suffix in zip(stems, (".safetensors", ".bin"), strict=True):
        weights = [
            name
            for name in names
            if name in (stem + suffix, stem + suffix + INDEX_SUFFIX)
            or (name.startswith(stem + "-") and name.endswith(suffix))
        ]
        if weights:
            break
    return [*small_files(names), *weights]


def small_files(names: Sequence[str]) -> list[str]:
    """Those that hold no weights."""
    return [name for name in SMALL_FILES if name in names]


def refuse_pointer(file: Path) -> None:
    """Raise UnusableCheckpoint where Git has left a pointer in the place of a large file."""
    with file.open("rb") as content:
        if content.read(len(LFS_POINTER)) == LFS_POINTER:
            raise UnusableCheckpoint(
                f"{file.name} is a Git LFS pointer, not the file itself; run `git lfs pull` in the"
                " model's repository and upload the file again"
            )


def read_json(file: Path) -> dict[str, Any]:
    """An object in a JSON file; empty where there is no such file.

    Raises:
        UnusableCheckpoint: it holds something else.
    """
    if not file.is_file():
        return {}
    refuse_pointer(file)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise UnusableCheckpoint(f"{file.name} is not a JSON object; copy it from the base model")
    return content


def parse(content: dict[str, Any], model: type[Content], file_name: str) -> Content:
    """What a file says, checked.

    Raises:
        UnusableCheckpoint: naming the file and its first wrong entry.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
        entry = ".".join(str(part) for part in problem["loc"])
        raise UnusableCheckpoint(
            f"{file_name} has a wrong {entry!r} ({problem['msg']}); copy the file from the base"
            " model"
        ) from None
