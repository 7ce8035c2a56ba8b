"""Whisper checkpoints as they are found: what is read the same, and what ends with a sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from fine_tunes import (
    OLDER_FILES,
    cut_weights,
    edit_json,
    linked,
    read_weights,
    spell_in_older_files,
    write_json,
    write_weights,
)
from paths import MODELS
from transformers import AutoTokenizer, WhisperForConditionalGeneration

from speech_endpoint.errors import ModelUnavailable
from speech_endpoint.whisper.backends import choose_backend
from speech_endpoint.whisper.checkpoint import Checkpoint, load_checkpoint
from speech_endpoint.whisper.checkpoint.files import files_to_download
from speech_endpoint.whisper.checkpoint.weights import OUTPUT_MATRIX
from speech_endpoint.whisper.model.decoder import Decoder
from speech_endpoint.whisper.tokenizer import N_TIMESTAMPS, Tokenizer

pytestmark = pytest.mark.core

EMBEDDING = "model.decoder.embed_tokens.weight"
LANGUAGE_TABLES = (
    "lang_to_id",
    "task_to_id",
    "is_multilingual",
    "alignment_heads",
    "no_timestamps_token_id",
    "max_initial_timestamp_index",
)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """The multilingual model under a name of its own."""
    return linked("whisper-base", tmp_path / "fine-tune")


@pytest.fixture
def english(tmp_path: Path) -> Path:
    return linked("whisper-tiny.en", tmp_path / "fine-tune")


@pytest.fixture(scope="module")
def published() -> Checkpoint:
    return load_checkpoint(str(MODELS / "whisper-base"))


def same_rules(found: Tokenizer, expected: Tokenizer) -> bool:
    names = ("eot", "sot", "first_timestamp", "languages", "tasks", "suppress_tokens")
    return all(getattr(found, name) == getattr(expected, name) for name in names)


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
    next(tmp_path.glob("model-00002-*")).unlink()
    with pytest.raises(ModelUnavailable, match=r"model-00002-\S+, which \S+index.json names, is"):
        load_checkpoint(str(tmp_path))


@pytest.mark.parametrize("without", [("generation_config.json",), ()])
def test_languages_are_found_without_their_tables(
    base: Path, published: Checkpoint, without: tuple[str, ...]
) -> None:
    if without:
        (base / without[0]).unlink()
        listed = list(published.token_rules.suppress_tokens or ())
        edit_json(base / "config.json", suppress_tokens=listed, begin_suppress_tokens=None)
    else:
        edit_json(base / "generation_config.json", *LANGUAGE_TABLES)
    found, expected = Tokenizer(load_checkpoint(str(base))), Tokenizer(published)
    assert found.multilingual and same_rules(found, expected)
    assert found.max_initial_timestamp == 50
    assert sorted(found.begin_suppress_tokens) == sorted(expected.begin_suppress_tokens)


def test_special_tokens_are_those_of_the_tokenizer_not_of_a_copied_table(
    base: Path, published: Checkpoint
) -> None:
    """generation_config.json of large-v3, whose tasks are one further, beside older weights."""
    edit_json(base / "generation_config.json", task_to_id={"transcribe": 50360, "translate": 50359})
    assert Tokenizer(load_checkpoint(str(base))).tasks == Tokenizer(published).tasks


def test_the_tokenizer_of_older_files_is_the_same(base: Path, published: Checkpoint) -> None:
    spell_in_older_files(base)
    old = load_checkpoint(str(base)).vocabulary
    assert old.ids == published.vocabulary.ids
    for text in (" Hello, naïve world!  Two blanks", "こんにちは", " it's 3.5\n", ""):
        assert old.encode(text) == published.vocabulary.encode(text)


@pytest.mark.parametrize("name", ["whisper-base", "whisper-tiny.en"])
def test_text_is_encoded_as_transformers_does(name: str) -> None:
    theirs = AutoTokenizer.from_pretrained(MODELS / name)
    ours = load_checkpoint(str(MODELS / name)).vocabulary
    assert ours.ids == theirs.get_vocab()
    for text in (" Hello, naïve world!", " Zoë’s 3.5 %", "你好", "<|en|> x", " \n ", "\x00"):
        assert ours.encode(text) == theirs.encode(text, add_special_tokens=False)


def test_what_transformers_5_saves_is_read_by_every_version(
    base: Path, published: Checkpoint
) -> None:
    for name in ("preprocessor_config.json", *OLDER_FILES):
        (base / name).unlink(missing_ok=True)
    write_json(base / "processor_config.json", {"feature_extractor": {"feature_size": 80}})
    edit_json(base / "tokenizer_config.json", extra_special_tokens=["<|en|>"], backend="tokenizers")
    edit_json(base / "config.json", dtype="float32")
    assert same_rules(Tokenizer(load_checkpoint(str(base))), Tokenizer(published))


def extend(base: Path, n_rows: int, *words: str, special: str | None = None) -> None:
    """Rows after those of the timestamps, and tokens for the first of them."""
    weights = read_weights("whisper-base")
    first, width = weights[EMBEDDING].shape
    weights[EMBEDDING] = torch.cat([weights[EMBEDDING], torch.zeros(n_rows, width)])
    write_weights(base, weights)
    edit_json(base / "config.json", vocab_size=first + n_rows)
    contents = [*words, special] if special else list(words)
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = [
        {"id": first + n, "content": content, "special": content == special, **flags}
        for n, content in enumerate(contents)
    ]
    tokens = json.loads((base / "tokenizer.json").read_text())["added_tokens"]
    edit_json(base / "tokenizer.json", added_tokens=tokens + added)


def test_ids_after_the_timestamps_are_words_or_nothing_and_never_times(base: Path) -> None:
    extend(base, 39, "concordia", "zorblax", special="<|new|>")
    tokenizer = Tokenizer(load_checkpoint(str(base)))
    word, special, padding = (tokenizer.after_timestamps + n for n in (1, 2, 30))
    assert tokenizer.after_timestamps == tokenizer.first_timestamp + N_TIMESTAMPS
    assert tokenizer.is_timestamp(tokenizer.after_timestamps - 1)
    assert not any(tokenizer.is_timestamp(token) for token in (word, special, padding))
    assert tokenizer.is_text(word) and tokenizer.decode([word]) == "zorblax"
    assert not tokenizer.is_text(special) and not tokenizer.is_text(padding)
    assert {special, padding} <= set(tokenizer.suppress_tokens)
    assert word not in tokenizer.suppress_tokens


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_keep_the_number_format_of_their_file(english: Path, dtype: torch.dtype) -> None:
    write_weights(english, {k: v.to(dtype) for k, v in read_weights("whisper-tiny.en").items()})
    weights = load_checkpoint(str(english)).weights
    assert {tensor.dtype for tensor in weights.values()} == {dtype}


@pytest.mark.parametrize("prefix", ["module.model.", "_orig_mod.model.", ""])
def test_names_of_wrappers_are_understood(english: Path, prefix: str) -> None:
    weights = read_weights("whisper-tiny.en")
    write_weights(english, {prefix + k.removeprefix("model."): v for k, v in weights.items()})
    assert EMBEDDING in load_checkpoint(str(english)).weights


def test_weights_that_were_pickled_are_read_the_same(english: Path) -> None:
    weights = read_weights("whisper-tiny.en")
    (english / "model.safetensors").unlink()
    torch.save(weights, english / "pytorch_model.bin")
    found = load_checkpoint(str(english)).weights
    assert all(torch.equal(found[name], tensor) for name, tensor in weights.items())


def test_an_output_matrix_of_its_own_is_kept(english: Path) -> None:
    cut_weights(english, lambda w: w.update({OUTPUT_MATRIX: w[EMBEDDING] * 2}))
    edit_json(english / "config.json", tie_word_embeddings=False)
    weights = load_checkpoint(str(english)).weights
    assert torch.equal(weights[OUTPUT_MATRIX], weights[EMBEDDING] * 2)


@pytest.mark.pure
def test_of_a_repository_one_form_of_the_weights_is_downloaded() -> None:
    small = ["config.json", "tokenizer.json"]
    others = ["README.md", "flax_model.msgpack", "model.fp32-00001-of-00002.safetensors", "x.py"]
    pickled = ["pytorch_model.bin"]
    one, parts = ["model.safetensors"], ["model-00001-of-00001.safetensors"]
    assert files_to_download(small + others + pickled + one) == small + one
    assert files_to_download(small + others + pickled + parts) == small + parts
    assert files_to_download(small + others + pickled) == small + pickled


def test_an_output_matrix_of_its_own_writes(english: Path) -> None:
    cut_weights(english, lambda w: w.update({OUTPUT_MATRIX: w[EMBEDDING].flip(0)}))
    logits = []
    for model in (MODELS / "whisper-tiny.en", english):
        decoder = Decoder(load_checkpoint(str(model)), choose_backend("cpu", "float32", "none"))
        cache = decoder.new_cache(n_slots=1, n_positions=2, n_frames=4)
        cache.cross_keys.zero_()
        cache.cross_values.zero_()
        tokens = torch.tensor([[50257]])
        logits.append(decoder.step(tokens, torch.zeros_like(tokens), cache, 2)[0, 0])
    torch.testing.assert_close(logits[1], logits[0].flip(0))
