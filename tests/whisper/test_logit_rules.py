"""The rules of timestamps and suppression against transformers' own implementation."""

from __future__ import annotations

import pytest
import torch
from paths import MODELS

from speech_endpoint.whisper.checkpoint import load_checkpoint
from speech_endpoint.whisper.logit_rules import LogitRules, constraint_after
from speech_endpoint.whisper.tokenizer import Tokenizer

pytestmark = pytest.mark.core


@pytest.fixture(scope="module")
def checkpoint():
    return load_checkpoint(str(MODELS / "whisper-base"))


@pytest.fixture(scope="module")
def tokenizer(checkpoint) -> Tokenizer:
    return Tokenizer(checkpoint)


def test_choices_are_those_of_transformers(checkpoint, tokenizer: Tokenizer) -> None:
    from transformers.generation.logits_process import (
        SuppressTokensAtBeginLogitsProcessor,
        SuppressTokensLogitsProcessor,
        WhisperTimeStampLogitsProcessor,
    )

    rules = LogitRules(tokenizer, torch.device("cpu"))
    generation = checkpoint.generation_config
    theirs = [
        SuppressTokensLogitsProcessor(generation.suppress_tokens, device="cpu"),
        SuppressTokensAtBeginLogitsProcessor(generation.begin_suppress_tokens, 3, device="cpu"),
        WhisperTimeStampLogitsProcessor(generation, begin_index=3),
    ]
    prompt = tokenizer.initial_tokens("en", "transcribe")
    timestamp = tokenizer.first_timestamp
    histories = [
        [],
        [timestamp],
        [timestamp, 400],
        [timestamp, 400, timestamp + 50],
        [timestamp, 400, timestamp + 50, timestamp + 50],
        [timestamp + 9, 4, 5],
    ]
    generator = torch.Generator().manual_seed(0)
    for history in histories:
        for favour in (0.0, 8.0):
            logits = torch.randn(1, tokenizer.vocabulary_size, generator=generator) * 3
            logits[:, timestamp:] += favour
            ids = torch.tensor([[*prompt, *history]])
            expected = logits.clone()
            for processor in theirs:
                expected = processor(ids, expected)
            sampled = rules.choose(logits.clone(), [constraint_after(history, tokenizer)])
            assert sampled.tokens.item() == expected.argmax().item(), (history, favour)
