"""Checkpoints that cannot be loaded, or must not be loaded as they ask to be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fine_tunes import (
    OLDER_FILES,
    MakesDirectory,
    cut_weights,
    edit_json,
    linked,
    write_json,
)
from paths import MODELS

from speech_endpoint.errors import ModelUnavailable
from speech_endpoint.whisper.checkpoint import load_checkpoint
from speech_endpoint.whisper.tokenizer import Tokenizer

pytestmark = pytest.mark.core

EMBEDDING = "model.decoder.embed_tokens.weight"


@pytest.fixture
def english(tmp_path: Path) -> Path:
    return linked("whisper-tiny.en", tmp_path / "fine-tune")


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_pickled_checkpoint_is_not_run(
    english: Path, tmp_path: Path, legacy: bool
) -> None:
    marker = tmp_path / "code-has-run"
    (english / "model.safetensors").unlink()
    torch.save(
        {"x": MakesDirectory(marker)},
        english / "pytorch_model.bin",
        _use_new_zipfile_serialization=not legacy,
    )
    with pytest.raises(ModelUnavailable, match=r"pytorch_model.bin holds more than weights"):
        load_checkpoint(str(english))
    assert not marker.exists()


def test_code_beside_the_config_is_not_run(english: Path, tmp_path: Path) -> None:
    marker = tmp_path / "code-has-run"
    (english / "stranger.py").write_text(f"import os\nos.mkdir({str(marker)!r})\nC = T = None\n")
    edit_json(english / "config.json", auto_map={"AutoConfig": "stranger.C"})
    edit_json(english / "tokenizer_config.json", auto_map={"AutoTokenizer": ["stranger.T"] * 2})
    load_checkpoint(str(english))
    assert not marker.exists()


def pointer(directory: Path) -> None:
    (directory / "model.safetensors").unlink()
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 151060136\n"
    (directory / "model.safetensors").write_text(text)


def only_adapter(directory: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (directory / name).unlink()
    write_json(directory / "adapter_config.json", {"base_model_name_or_path": "openai/whisper-x"})


def damaged(directory: Path) -> None:
    (directory / "model.safetensors").unlink()
    (directory / "model.safetensors").write_bytes(b"not weights")


def of_another_model(directory: Path) -> None:
    (directory / "tokenizer.json").unlink()
    (directory / "tokenizer.json").symlink_to(MODELS / "whisper-base" / "tokenizer.json")


def with_nan(weights: dict[str, torch.Tensor]) -> None:
    weights["model.encoder.layers.1.fc1.weight"][3, 5] = torch.nan


UNUSABLE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "more layers said": (
        lambda d: edit_json(d / "config.json", decoder_layers=5),
        r"config.json says decoder_layers 5, and model.safetensors holds 4",
    ),
    "fewer layers said": (
        lambda d: edit_json(d / "config.json", encoder_layers=3),
        r"config.json says encoder_layers 3, and model.safetensors holds 4",
    ),
    "another shape": (
        lambda d: edit_json(d / "config.json", vocab_size=51_900),
        r"embed_tokens.weight of shape \(51864, 384\), and config.json says \(51900, 384\)",
    ),
    "a weight missing": (
        lambda d: cut_weights(d, lambda w: w.pop("model.decoder.layers.2.fc2.bias")),
        r"model.safetensors lacks model.decoder.layers.2.fc2.bias",
    ),
    "not finite": (lambda d: cut_weights(d, with_nan), r"numbers in \S+ that are not finite"),
    "integers": (
        lambda d: cut_weights(d, lambda w: w.update({EMBEDDING: w[EMBEDDING].to(torch.int8)})),
        r"in int8; save the model in float16",
    ),
    "quantized": (
        lambda d: edit_json(d / "config.json", quantization_config={"load_in_8bit": True}),
        r"config.json has a quantization_config",
    ),
    "other windows": (
        lambda d: edit_json(d / "config.json", max_source_positions=750),
        r"max_source_positions 750; only models for windows of 30 s",
    ),
    "another extractor": (
        lambda d: edit_json(d / "preprocessor_config.json", chunk_length=15),
        r"preprocessor_config.json has a wrong 'chunk_length' \(Input should be 30\)",
    ),
    "not a Whisper": (
        lambda d: edit_json(d / "config.json", model_type="wav2vec2"),
        r"config.json says model_type 'wav2vec2'; only a Whisper",
    ),
    "no config": (lambda d: (d / "config.json").unlink(), r"config.json is missing"),
    "damaged config": (
        lambda d: write_json(d / "config.json", [1]),
        r"config.json is not a JSON object",
    ),
    "no weights": (
        lambda d: (d / "model.safetensors").unlink(),
        r"model.safetensors is missing; save the model",
    ),
    "damaged weights": (damaged, r"model.safetensors is damaged \(.*header"),
    "pointer": (pointer, r"model.safetensors is a Git LFS pointer"),
    "adapter": (only_adapter, r"adapter without its base model 'openai/whisper-x'; merge"),
    "no tokenizer": (
        lambda d: [(d / n).unlink(missing_ok=True) for n in ("tokenizer.json", *OLDER_FILES)],
        r"the tokenizer is missing; copy tokenizer.json",
    ),
    "damaged tokenizer": (
        lambda d: write_json(d / "tokenizer.json", {"model": {}}),
        r"tokenizer.json is damaged",
    ),
    "another's tokenizer": (of_another_model, r"its tokenizer needs 51865 ids, and .* 51864"),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_what_cannot_be_used_is_said_with_file_and_remedy(english: Path, kind: str) -> None:
    change, sentence = UNUSABLE[kind]
    change(english)
    with pytest.raises(ModelUnavailable, match=sentence) as raised:
        Tokenizer(load_checkpoint(str(english)))
    message = str(raised.value)
    assert "'fine-tune': " in message and str(english.parent) not in message
    assert message.isprintable()
