"""Whisper checkpoints as they are found: in one file, in several, pickled, or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from paths import MODELS
from transformers import WhisperForConditionalGeneration

from speech_endpoint.whisper.checkpoint import load_checkpoint

pytestmark = pytest.mark.core


def test_a_checkpoint_in_several_files_is_read_the_same(tmp_path: Path) -> None:
    source = MODELS / "whisper-tiny.en"
    shutil.copytree(
        source, tmp_path, ignore=shutil.ignore_patterns("*.safetensors"), dirs_exist_ok=True
    )
    WhisperForConditionalGeneration.from_pretrained(source).save_pretrained(
        tmp_path, max_shard_size="50MB"
    )
    assert not (tmp_path / "model.safetensors").exists()
    whole, parts = load_checkpoint(str(source)), load_checkpoint(str(tmp_path))
    assert set(whole.weights) <= set(parts.weights)
    assert all(torch.equal(tensor, parts.weights[name]) for name, tensor in whole.weights.items())
    assert parts.config.d_model == whole.config.d_model
    assert parts.generation_config.alignment_heads == whole.generation_config.alignment_heads


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    source = MODELS / "whisper-tiny.en"
    shutil.copytree(
        source, tmp_path, ignore=shutil.ignore_patterns("*.safetensors"), dirs_exist_ok=True
    )
    (tmp_path / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(RuntimeError, match=f"cannot load the Whisper model '{tmp_path}': .*header"):
        load_checkpoint(str(tmp_path))
