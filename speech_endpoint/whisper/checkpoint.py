"""Reading a Whisper checkpoint: weights, sizes, token rules. The same for a directory and a Hub name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from huggingface_hub import hf_hub_download
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import AutoTokenizer, GenerationConfig, WhisperConfig, WhisperFeatureExtractor

WEIGHTS_NAME = "model.safetensors"
# Only a checkpoint that was saved with the language model's names has it.
TOKEN_EMBEDDING = "model.decoder.embed_tokens.weight"


@dataclass(frozen=True)
class Checkpoint:
    """A Whisper as its authors published it; `weights` by transformers' names, float32, on the CPU."""

    name: str
    config: WhisperConfig
    generation_config: GenerationConfig
    extractor: WhisperFeatureExtractor
    vocabulary: dict[str, int]
    encode_text: Callable[[str], list[int]]
    weights: dict[str, torch.Tensor]


def load_checkpoint(model: str, token: str | None = None) -> Checkpoint:
    """Load `model`, a directory or a Hub name.

    Raises:
        RuntimeError: it cannot be found or read; the message holds no token.
    """
    try:
        config, generation_config, weights = _read_file(model, token) or _read_any(model, token)
        extractor = WhisperFeatureExtractor.from_pretrained(model, token=token)
        tokenizer = AutoTokenizer.from_pretrained(model, token=token)
    except (OSError, ValueError, SafetensorError) as error:
        raise RuntimeError(
            f"cannot load the Whisper model {model!r}: {str(error).splitlines()[0]}"
        ) from None
    weights = {name: tensor.float() for name, tensor in weights.items()}

    def encode_text(text: str) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=False))

    return Checkpoint(
        model, config, generation_config, extractor, tokenizer.get_vocab(), encode_text, weights
    )


Network = tuple[WhisperConfig, GenerationConfig, dict[str, torch.Tensor]]


def _read_file(model: str, token: str | None) -> Network | None:
    """A checkpoint of the usual files, without transformers' models, which take a second to import; else None."""
    try:
        directory = Path(model)
        local = (
            directory / WEIGHTS_NAME
            if directory.is_dir()
            else hf_hub_download(model, WEIGHTS_NAME, token=token)
        )
        weights = load_file(local)
        config = WhisperConfig.from_pretrained(model, token=token)
        generation_config = GenerationConfig.from_pretrained(model, token=token)
    except (OSError, ValueError, SafetensorError):
        return None
    usual = TOKEN_EMBEDDING in weights and getattr(config, "quantization_config", None) is None
    return (config, generation_config, weights) if usual else None


def _read_any(model: str, token: str | None) -> Network:
    """Whatever transformers reads: in several files, pickled, with other names."""
    from transformers import WhisperForConditionalGeneration

    network = WhisperForConditionalGeneration.from_pretrained(model, token=token)
    return network.config, network.generation_config, network.state_dict()
