"""The rules of timestamps and suppression against transformers' own implementation."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from paths import MODELS

from speech_endpoint.whisper.checkpoint import load_checkpoint
from speech_endpoint.whisper.logit_rules import LogitRules, Sampler, TextContext
from speech_endpoint.whisper.tokenizer import Tokenizer

pytestmark = pytest.mark.core


@pytest.fixture(scope="module")
def checkpoint():
    return load_checkpoint(str(MODELS / "whisper-base"))


@pytest.fixture(scope="module")
def tokenizer(checkpoint) -> Tokenizer:
    return Tokenizer(checkpoint)


@pytest.fixture(scope="module")
def rules(tokenizer: Tokenizer) -> LogitRules:
    return LogitRules(tokenizer, torch.device("cpu"))


def histories(tokenizer: Tokenizer) -> list[list[int]]:
    """Tokens written so far, for every rule there is."""
    timestamp = tokenizer.first_timestamp
    return [
        [],
        [timestamp],
        [timestamp, 400],
        [timestamp, 400, timestamp + 50],
        [timestamp, 400, timestamp + 50, timestamp + 50],
        [timestamp + 9, 4, 5],
    ]


def after(tokenizer: Tokenizer, *histories: list[int]) -> TextContext:
    return TextContext.after(histories, tokenizer, torch.device("cpu"))


def context_and_logits(tokenizer: Tokenizer, seed: int = 0) -> tuple[TextContext, torch.Tensor]:
    """A position after each history where text is likelier, and one where timestamps are."""
    context = after(tokenizer, *histories(tokenizer) * 2)
    n_positions = len(context.last)
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n_positions, tokenizer.vocabulary_size, generator=generator) * 3
    logits[n_positions // 2 :, tokenizer.first_timestamp :] += 8.0
    return context, logits


def test_choices_are_those_of_transformers(
    checkpoint, tokenizer: Tokenizer, rules: LogitRules
) -> None:
    from transformers import GenerationConfig
    from transformers.generation.logits_process import (
        SuppressTokensAtBeginLogitsProcessor,
        SuppressTokensLogitsProcessor,
        WhisperTimeStampLogitsProcessor,
    )

    generation = GenerationConfig.from_pretrained(MODELS / "whisper-base")
    theirs = [
        SuppressTokensLogitsProcessor(generation.suppress_tokens, device="cpu"),
        SuppressTokensAtBeginLogitsProcessor(generation.begin_suppress_tokens, 3, device="cpu"),
        WhisperTimeStampLogitsProcessor(generation, begin_index=3),
    ]
    prompt = tokenizer.initial_tokens("en", "transcribe")
    timestamp = tokenizer.first_timestamp
    generator = torch.Generator().manual_seed(0)
    for history in histories(tokenizer):
        for favour in (0.0, 8.0):
            logits = torch.randn(1, tokenizer.vocabulary_size, generator=generator) * 3
            logits[:, timestamp:] += favour
            ids = torch.tensor([[*prompt, *history]])
            expected = logits.clone()
            for processor in theirs:
                expected = processor(ids, expected)
            sampled = rules.choose(logits.clone(), after(tokenizer, history))
            assert sampled.tokens.item() == expected.argmax().item(), (history, favour)


def test_log_probabilities_are_those_among_all_tokens_that_are_allowed(
    tokenizer: Tokenizer, rules: LogitRules
) -> None:
    """Text and timestamps share one distribution, whichever of the two is chosen."""
    context, logits = context_and_logits(tokenizer)
    masked = logits.clone()
    sampled = rules.choose(masked, context)
    expected = torch.log_softmax(masked, dim=1).gather(1, sampled.tokens[:, None])[:, 0]
    torch.testing.assert_close(sampled.log_probabilities, expected, atol=1e-4, rtol=0)
    # The rules only forbid: what they allow keeps its logit.
    allowed = masked > -torch.inf
    assert torch.equal(masked[allowed], logits[allowed])
    assert not allowed[:, tokenizer.suppress_tokens].any()
    assert allowed.any(dim=1).all() and not allowed.all(dim=1).any()
    assert len({tokenizer.is_timestamp(token) for token in sampled.tokens.tolist()}) == 2


def test_a_position_does_not_depend_on_those_beside_it(
    tokenizer: Tokenizer, rules: LogitRules
) -> None:
    context, logits = context_and_logits(tokenizer)
    together = rules.choose(logits.clone(), context)
    for position, history in enumerate(histories(tokenizer) * 2):
        alone = rules.choose(logits[position : position + 1].clone(), after(tokenizer, history))
        assert alone.tokens[0] == together.tokens[position]
        torch.testing.assert_close(
            alone.log_probabilities[0], together.log_probabilities[position], atol=1e-5, rtol=0
        )


def drawn(
    rules: LogitRules, logits: torch.Tensor, context: TextContext, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """A token drawn at every other position, and the log-probabilities of all."""
    samplers = [
        Sampler(0.8, torch.Generator().manual_seed(seed)) if position % 2 == 0 else None
        for position in range(len(logits))
    ]
    sampled = rules.choose(logits, context, samplers)
    return sampled.tokens, sampled.log_probabilities


def test_the_same_seed_draws_the_same_token_and_another_seed_others(
    tokenizer: Tokenizer, rules: LogitRules
) -> None:
    context, logits = context_and_logits(tokenizer)
    likeliest = rules.choose(logits.clone(), context).tokens
    draws = [drawn(rules, logits.clone(), context, seed)[0] for seed in range(5)]
    assert torch.equal(drawn(rules, logits.clone(), context, 0)[0], draws[0])
    seen = [{int(draw[position]) for draw in draws} for position in range(len(logits))]
    assert all(len(tokens) == 1 for tokens in seen[1::2])
    assert [tokens.pop() for tokens in seen[1::2]] == likeliest[1::2].tolist()
    # Where one token has nearly all of the probability, every seed draws it.
    assert sum(len(tokens) > 1 for tokens in seen[::2]) > 1


def test_only_allowed_tokens_are_drawn_and_each_bears_its_own_log_probability(
    tokenizer: Tokenizer, rules: LogitRules
) -> None:
    for seed in range(5):
        context, masked = context_and_logits(tokenizer, seed)
        tokens, log_probabilities = drawn(rules, masked, context, seed)
        expected = torch.log_softmax(masked, dim=1).gather(1, tokens[:, None])[:, 0]
        assert (expected > -torch.inf).all()
        torch.testing.assert_close(log_probabilities, expected, atol=1e-4, rtol=0)


def test_a_temperature_leaves_it_to_the_likeliest_whether_it_is_time_for_a_timestamp(
    tokenizer: Tokenizer, rules: LogitRules
) -> None:
    """All timestamps together are likelier than any one token of text: none of those is drawn."""
    timestamp = tokenizer.first_timestamp
    context = after(tokenizer, [timestamp, 400])
    for seed in range(20):
        logits = torch.zeros(1, tokenizer.vocabulary_size)
        sampler = Sampler(0.8, torch.Generator().manual_seed(seed))
        (token,) = rules.choose(logits, context, [sampler]).tokens.tolist()
        assert tokenizer.is_timestamp(token)


def test_an_added_word_is_chosen_as_words_are_and_a_padding_row_never(checkpoint) -> None:
    first_added = checkpoint.config.vocab_size
    extended = Tokenizer(
        replace(
            checkpoint,
            config=checkpoint.config.model_copy(update={"vocab_size": first_added + 8}),
            vocabulary=replace(checkpoint.vocabulary, added_words={first_added + 1: " zorblax"}),
        )
    )
    rules = LogitRules(extended, torch.device("cpu"))
    for history, text_is_allowed in (([], False), ([extended.first_timestamp, 400], True)):
        logits = torch.zeros(1, first_added + 8)
        logits[0, first_added + 1], logits[0, first_added + 2] = 20.0, 30.0
        sampled = rules.choose(logits, after(extended, history))
        assert (sampled.tokens.item() == first_added + 1) is text_is_allowed
        assert text_is_allowed == (sampled.log_probabilities.item() > -0.01)
    assert extended.decode([400, first_added + 1]).endswith(" zorblax")
