"""Turn a Whisper model in CTranslate2's float16 format into a transformers checkpoint."""

from __future__ import annotations

import io
import json
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)
from transformers.models.whisper.tokenization_whisper import LANGUAGES

# By the number that stands for each in the file.
DTYPES: tuple[type[np.generic], ...] = (np.float32, np.int8, np.int16, np.int32, np.float16)
MIN_MULTILINGUAL_VOCABULARY = 51_865
MEL_BINS = 80
MAX_TARGET_TOKENS = 448
# <|0.00|> to <|30.00|>, every 0.02 s.
TIMESTAMPS = 1_501
END_OF_TEXT = "<|endoftext|>"

# "decoder/layer_3/attention/linear_1/weight"
NAME = re.compile(r"(?P<side>encoder|decoder)/(layer_(?P<layer>\d+)/)?(?P<module>.+)/(?P<kind>\w+)")
# The modules of CTranslate2's Whisper and what transformers calls them; some hold several matrices.
MODULES = {
    "conv1": ["conv1"],
    "conv2": ["conv2"],
    "embeddings": ["embed_tokens"],
    "position_encodings": ["embed_positions"],
    "layer_norm": ["layer_norm"],
    "self_attention/linear_0": [f"self_attn.{part}_proj" for part in "qkv"],
    "self_attention/linear_1": ["self_attn.out_proj"],
    "self_attention/layer_norm": ["self_attn_layer_norm"],
    "attention/linear_0": ["encoder_attn.q_proj"],
    "attention/linear_1": [f"encoder_attn.{part}_proj" for part in "kv"],
    "attention/linear_2": ["encoder_attn.out_proj"],
    "attention/layer_norm": ["encoder_attn_layer_norm"],
    "ffn/linear_0": ["fc1"],
    "ffn/linear_1": ["fc2"],
    "ffn/layer_norm": ["final_layer_norm"],
}
PARAMETERS = {
    "weight": "weight", "bias": "bias", "gamma": "weight", "beta": "bias", "encodings": "weight",
}  # fmt: skip

Arrays = dict[str, np.ndarray]


def convert_whisper(model: bytes, source: Path, out: Path) -> None:
    """Write a transformers checkpoint, in float32.

    Args:
        model: the content of CTranslate2's `model.bin`.
        source: the directory of its `config.json` and `tokenizer.json`.
        out: the directory to write to.
    """
    arrays = read_arrays(model)
    names = ("config", "tokenizer")
    config, tokenizer = (json.loads((source / f"{name}.json").read_text()) for name in names)
    _add_timestamps(tokenizer)
    ids = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    network = WhisperForConditionalGeneration(_model_config(arrays, eot=ids[END_OF_TEXT]))
    network.load_state_dict(_state_dict(arrays))
    network.generation_config = _generation_config(config, ids, network.config)
    network.save_pretrained(out)
    WhisperFeatureExtractor(feature_size=MEL_BINS).save_pretrained(out)
    _write_tokenizer(tokenizer, out)


def read_arrays(model: bytes) -> Arrays:
    """Read the named arrays of a CTranslate2 `model.bin`.

    The format: uint32 version, name of the specification, uint32 revision, uint32 count; then for
    each array its name, uint8 rank, uint32 dimensions, uint8 type, uint32 size in bytes, content.
    A string is its uint16 length, NUL included, and its bytes.

    Raises:
        RuntimeError: the file holds another kind of model.
    """
    file = io.BytesIO(model)

    def number(kind: str) -> int:
        (value,) = struct.unpack(f"<{kind}", file.read(struct.calcsize(kind)))
        return int(value)

    def text() -> str:
        return file.read(number("H"))[:-1].decode()

    number("I")
    specification = text()
    if specification != "WhisperSpec":
        raise RuntimeError(f"expected a CTranslate2 Whisper (WhisperSpec), got {specification!r}")
    number("I")
    arrays: Arrays = {}
    for _ in range(number("I")):
        name, rank = text(), number("B")
        shape = [number("I") for _ in range(rank)]
        dtype, size = DTYPES[number("B")], number("I")
        arrays[name] = np.frombuffer(file.read(size), dtype=dtype).reshape(shape)
    return arrays


def _model_config(arrays: Arrays, eot: int) -> WhisperConfig:
    """The network's sizes, read off its arrays; `eot` is the id of <|endoftext|>."""
    vocabulary, width = arrays["decoder/embeddings/weight"].shape
    norms = [name for name in arrays if name.endswith("/ffn/layer_norm/gamma")]
    layers = sum(name.startswith("decoder/") for name in norms)
    heads = int(arrays["decoder/num_heads"])
    return WhisperConfig(
        vocab_size=vocabulary, num_mel_bins=MEL_BINS, d_model=width,
        encoder_layers=layers, encoder_attention_heads=heads, encoder_ffn_dim=4 * width,
        decoder_layers=layers, decoder_attention_heads=heads, decoder_ffn_dim=4 * width,
        bos_token_id=eot, eos_token_id=eot, pad_token_id=eot, decoder_start_token_id=eot + 1,
        suppress_tokens=None, begin_suppress_tokens=None,
    )  # fmt: skip


def _state_dict(arrays: Arrays) -> dict[str, torch.Tensor]:
    """The arrays as transformers' Whisper names them, in float32."""
    weights: dict[str, torch.Tensor] = {}
    for name, array in arrays.items():
        match = NAME.fullmatch(name)
        if match is None or match["module"] not in MODULES:
            continue  # a size, not a weight
        side, layer, kind = match["side"], match["layer"], PARAMETERS[match["kind"]]
        prefix = f"model.{side}.layers.{layer}" if layer else f"model.{side}"
        targets = MODULES[match["module"]]
        parts = np.split(array.astype(np.float32), len(targets))
        for target, part in zip(targets, parts, strict=True):
            weights[f"{prefix}.{target}.{kind}"] = torch.from_numpy(part.copy())
    weights["proj_out.weight"] = weights["model.decoder.embed_tokens.weight"]
    # Whisper's keys have no bias; in a fused matrix it is zeros.
    return {name: weight for name, weight in weights.items() if "k_proj.bias" not in name}


def _generation_config(
    ct2: dict[str, Any], ids: dict[str, int], config: WhisperConfig
) -> GenerationConfig:
    """The rules of decoding, as openai's checkpoints on the Hub state them."""
    eot = config.eos_token_id
    multilingual = config.vocab_size >= MIN_MULTILINGUAL_VOCABULARY
    tags = [f"<|{code}|>" for code in LANGUAGES]
    languages = {
        "lang_to_id": {tag: ids[tag] for tag in tags if tag in ids},
        "task_to_id": {task: ids[f"<|{task}|>"] for task in ("transcribe", "translate")},
    }
    return GenerationConfig(
        alignment_heads=ct2["alignment_heads"], suppress_tokens=ct2["suppress_ids"],
        begin_suppress_tokens=ct2["suppress_ids_begin"],
        no_timestamps_token_id=ids["<|notimestamps|>"], prev_sot_token_id=ids["<|startofprev|>"],
        bos_token_id=eot, eos_token_id=eot, pad_token_id=eot,
        decoder_start_token_id=config.decoder_start_token_id, is_multilingual=multilingual,
        max_initial_timestamp_index=50, max_length=MAX_TARGET_TOKENS, return_timestamps=False,
        **(languages if multilingual else {}),
    )  # fmt: skip


def _add_timestamps(tokenizer: dict[str, Any]) -> None:
    """Add the timestamp tokens, which files of the Hub have today and older ones have not."""
    ids = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": True}
    for n in range(0 if "<|0.00|>" in ids else TIMESTAMPS):
        token = {"id": ids["<|notimestamps|>"] + 1 + n, "content": f"<|{n * 0.02:.2f}|>"}
        tokenizer["added_tokens"].append(token | flags | {"special": False})


def _write_tokenizer(tokenizer: dict[str, Any], out: Path) -> None:
    """Write what `AutoTokenizer` reads, in transformers 4.51 as in 5, and the older files too, as
    openai's checkpoints on the Hub have them.

    transformers' own writers do not: 4.51 cannot read what 5 saves.
    """
    roles = ("bos_token", "eos_token", "unk_token", "pad_token")
    special = [token["content"] for token in tokenizer["added_tokens"] if token["special"]]
    config = {
        "tokenizer_class": "WhisperTokenizer", "errors": "replace", "add_prefix_space": False,
        "model_max_length": 1024, "return_attention_mask": False,
        **dict.fromkeys(roles, END_OF_TEXT), "additional_special_tokens": special,
    }  # fmt: skip
    _write_json(out / "tokenizer.json", tokenizer)
    _write_json(out / "tokenizer_config.json", config)
    write_older_files(tokenizer, out)


def write_older_files(tokenizer: dict[str, Any], out: Path) -> None:
    """Write vocab.json, merges.txt and added_tokens.json.

    Args:
        tokenizer: the content of a tokenizer.json.
        out: the directory to write to.
    """
    vocabulary, merges = tokenizer["model"]["vocab"], tokenizer["model"]["merges"]
    tokens = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    added = {name: i for name, i in tokens.items() if name not in vocabulary}
    _write_json(out / "vocab.json", vocabulary)
    _write_json(out / "added_tokens.json", added)
    pairs = [pair if isinstance(pair, str) else " ".join(pair) for pair in merges]
    lines = "\n".join(["#version: 0.2", *pairs]) + "\n"
    (out / "merges.txt").write_text(lines, encoding="utf-8")


def _write_json(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
