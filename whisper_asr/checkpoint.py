"""Reading a Whisper checkpoint: weights, sizes, token rules. The same for a directory and a Hub name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from transformers import (
    AutoTokenizer,
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)


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
        network = WhisperForConditionalGeneration.from_pretrained(model, token=token)
        extractor = WhisperFeatureExtractor.from_pretrained(model, token=token)
        tokenizer = AutoTokenizer.from_pretrained(model, token=token)
    except (OSError, ValueError) as error:
        raise RuntimeError(f"cannot load the Whisper model {model!r}: {str(error).splitlines()[0]}") from None
    weights = {name: tensor.float() for name, tensor in network.state_dict().items()}

    def encode_text(text: str) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=False))

    return Checkpoint(
        model, network.config, network.generation_config, extractor, tokenizer.get_vocab(), encode_text, weights
    )
