"""Fine-tunes as people publish them, made of the models that are here by links."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from paths import MODELS
from safetensors.torch import load_file, save_file

from tools.build_models.whisper_checkpoint import write_older_files


def linked(name: str, directory: Path, *without: str) -> Path:
    """A model's directory with links to its files, but for those `without` names."""
    directory.mkdir()
    for file in (MODELS / name).iterdir():
        if file.name not in without:
            (directory / file.name).symlink_to(file.resolve())
    return directory


def write_json(file: Path, content: Any) -> None:
    file.unlink(missing_ok=True)
    file.write_text(json.dumps(content))


def edit_json(file: Path, *without: str, **values: Any) -> None:
    content = json.loads(file.read_text())
    write_json(file, {k: v for k, v in content.items() if k not in without} | values)


OLDER_FILES = ("vocab.json", "merges.txt", "added_tokens.json")


def spell_in_older_files(directory: Path) -> None:
    """Write vocab.json, merges.txt and added_tokens.json, and take tokenizer.json away."""
    tokenizer = json.loads((directory / "tokenizer.json").read_text())
    # They may be links to a model's own.
    for name in ("tokenizer.json", *OLDER_FILES):
        (directory / name).unlink(missing_ok=True)
    write_older_files(tokenizer, directory)


def read_weights(name: str) -> dict[str, torch.Tensor]:
    return load_file(MODELS / name / "model.safetensors")


def write_weights(directory: Path, weights: dict[str, torch.Tensor]) -> None:
    (directory / "model.safetensors").unlink(missing_ok=True)
    contiguous = {name: tensor.contiguous() for name, tensor in weights.items()}
    save_file(contiguous, directory / "model.safetensors", metadata={"format": "pt"})


class MakesDirectory:
    """Unpickled without care, it makes a directory; nothing else."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


def cut_weights(directory: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    """Write the weights of whisper-tiny.en, changed."""
    weights = read_weights("whisper-tiny.en")
    change(weights)
    write_weights(directory, weights)
