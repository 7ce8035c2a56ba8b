"""Reading a Whisper checkpoint: weights, sizes, token rules; from a directory or the Hub."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from huggingface_hub import hf_hub_download
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import AutoTokenizer, GenerationConfig, WhisperConfig, WhisperFeatureExtractor

from speech_endpoint.errors import ModelUnavailable

WEIGHTS_NAME = "model.safetensors"
# Only a checkpoint that was saved with the language model's names has it.
TOKEN_EMBEDDING = "model.decoder.embed_tokens.weight"


@dataclass(frozen=True)
class Checkpoint:
    """A Whisper as its authors published it."""

    name: str
    config: WhisperConfig
    generation_config: GenerationConfig
    extractor: WhisperFeatureExtractor
    token_ids: Mapping[str, int]
    encode_text: Callable[[str], list[int]]
    """Text to token ids, no special ones among them."""
    weights: Mapping[str, torch.Tensor]
    """By transformers' names; float32, on the CPU."""


@dataclass(frozen=True)
class RawCheckpoint:
    """The network of a checkpoint, in the number format in which it was saved."""

    config: WhisperConfig
    generation_config: GenerationConfig
    weights: Mapping[str, torch.Tensor]


def load_checkpoint(model: str, token: str | None = None) -> Checkpoint:
    """Load `model`, a directory or a Hub name.

    Raises:
        ModelUnavailable: it cannot be found or read; the message holds no token.
    """
    try:
        raw = _load_safetensors(model, token) or _load_with_transformers(model, token)
        extractor = WhisperFeatureExtractor.from_pretrained(model, token=token)
        tokenizer = AutoTokenizer.from_pretrained(model, token=token)
    except (OSError, ValueError, SafetensorError) as error:
        cause = str(error).splitlines()[0]
        raise ModelUnavailable(f"cannot load the Whisper model {model!r}: {cause}") from None

    def encode_text(text: str) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=False))

    return Checkpoint(
        name=model,
        config=raw.config,
        generation_config=raw.generation_config,
        extractor=extractor,
        token_ids=tokenizer.get_vocab(),
        encode_text=encode_text,
        weights={name: tensor.float() for name, tensor in raw.weights.items()},
    )


def _load_safetensors(model: str, token: str | None) -> RawCheckpoint | None:
    """A checkpoint of the usual files, or None.

    Without transformers' model classes, which take a second to import.
    """
    try:
        directory = Path(model)
        if directory.is_dir():
            file = str(directory / WEIGHTS_NAME)
        else:
            file = hf_hub_download(model, WEIGHTS_NAME, token=token)
        weights = load_file(file)
        config = WhisperConfig.from_pretrained(model, token=token)
        generation_config = GenerationConfig.from_pretrained(model, token=token)
    except (OSError, ValueError, SafetensorError):
        return None
    if TOKEN_EMBEDDING not in weights or getattr(config, "quantization_config", None) is not None:
        return None
    return RawCheckpoint(config, generation_config, weights)


def _load_with_transformers(model: str, token: str | None) -> RawCheckpoint:
    """Whatever else transformers reads: in several files, pickled, with other names."""
    from transformers import WhisperForConditionalGeneration

    network = WhisperForConditionalGeneration.from_pretrained(model, token=token)
    return RawCheckpoint(network.config, network.generation_config, network.state_dict())
