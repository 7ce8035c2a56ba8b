"""CTranslate2's format read, and written as transformers reads it."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from transformers import GenerationConfig, WhisperForConditionalGeneration

from tools.build_models.whisper_checkpoint import DTYPES, convert_whisper, read_arrays

pytestmark = pytest.mark.pure

WIDTH, VOCABULARY, FRAMES = 8, 60, 1500
FIRST_SPECIAL = 40


def file_of(arrays: dict[str, np.ndarray], specification: str = "WhisperSpec") -> bytes:
    """A `model.bin`, after CTranslate2's `ModelSpec.save`."""

    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    content = struct.pack("<I", 6) + text(specification) + struct.pack("<II", 3, len(arrays))
    for name, array in arrays.items():
        dtype = next(n for n, one in enumerate(DTYPES) if array.dtype == one)
        shape = struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        content += text(name) + shape + struct.pack("<BI", dtype, array.nbytes) + array.tobytes()
    return content


def network() -> dict[str, np.ndarray]:
    """Random weights of a Whisper of one layer and one head, as CTranslate2 names them."""
    random = np.random.default_rng(0)

    def weights(*shape: int) -> np.ndarray:
        return random.standard_normal(shape).astype(np.float16)

    arrays = {
        "encoder/conv1/weight": weights(WIDTH, 80, 3),
        "encoder/conv1/bias": weights(WIDTH),
        "encoder/conv2/weight": weights(WIDTH, WIDTH, 3),
        "encoder/conv2/bias": weights(WIDTH),
        "encoder/position_encodings/encodings": weights(FRAMES, WIDTH),
        "decoder/embeddings/weight": weights(VOCABULARY, WIDTH),
        "decoder/position_encodings/encodings": weights(448, WIDTH),
        "decoder/num_heads": np.array(1, np.int16),
    }
    # Rows and columns of the linear layers, in widths; some hold several matrices.
    layers = {
        "self_attention/linear_0": (3, 1),
        "self_attention/linear_1": (1, 1),
        "ffn/linear_0": (4, 1),
        "ffn/linear_1": (1, 4),
    }
    cross_layers = {
        "attention/linear_0": (1, 1),
        "attention/linear_1": (2, 1),
        "attention/linear_2": (1, 1),
    }
    norms = ["self_attention/layer_norm", "ffn/layer_norm"]
    for side in ("encoder", "decoder"):
        layer, with_cross = f"{side}/layer_0", side == "decoder"
        for module, (rows, columns) in (layers | (cross_layers if with_cross else {})).items():
            arrays[f"{layer}/{module}/weight"] = weights(rows * WIDTH, columns * WIDTH)
            arrays[f"{layer}/{module}/bias"] = weights(rows * WIDTH)
        for module in [*norms, *(["attention/layer_norm"] if with_cross else [])]:
            arrays[f"{layer}/{module}/gamma"] = weights(WIDTH)
            arrays[f"{layer}/{module}/beta"] = weights(WIDTH)
        arrays[f"{side}/layer_norm/gamma"] = weights(WIDTH)
        arrays[f"{side}/layer_norm/beta"] = weights(WIDTH)
    return arrays


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An English-only checkpoint."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("out")
    special = ["endoftext", "startoftranscript", "translate", "transcribe", "startofprev"]
    tokens = [
        {"id": FIRST_SPECIAL + n, "content": f"<|{name}|>", "special": True}
        for n, name in enumerate([*special, "notimestamps"])
    ]
    config = {
        "alignment_heads": [[0, 0]],
        "suppress_ids": [1, 2],
        "suppress_ids_begin": [FIRST_SPECIAL],
    }
    (source / "config.json").write_text(json.dumps(config))
    tokenizer = {"model": {"vocab": {"a": 0}, "merges": [["a", "b"]]}, "added_tokens": tokens}
    (source / "tokenizer.json").write_text(json.dumps(tokenizer))
    convert_whisper(file_of(network()), source, out)
    return out


@given(
    st.dictionaries(
        st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=1, max_size=9),
        arrays_of.arrays(st.sampled_from(DTYPES), arrays_of.array_shapes(min_dims=0)),
        max_size=4,
    )
)
def test_arrays_are_read_as_they_were_written(arrays: dict[str, np.ndarray]) -> None:
    found = read_arrays(file_of(arrays))
    assert [*found] == [*arrays]
    for name, array in arrays.items():
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()


def test_another_kind_of_model_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"WhisperSpec.*TransformerSpec"):
        read_arrays(file_of({}, "TransformerSpec"))


def test_every_weight_of_the_network_comes_from_the_file(converted: Path) -> None:
    model, info = WhisperForConditionalGeneration.from_pretrained(
        converted, output_loading_info=True
    )
    assert not info["missing_keys"] and not info["unexpected_keys"]
    source, attention = network(), model.model.decoder.layers[0]
    joined = source["decoder/layer_0/attention/linear_1/weight"].astype(np.float32)
    key, value = attention.encoder_attn.k_proj.weight, attention.encoder_attn.v_proj.weight
    assert np.array_equal(np.concatenate([key.detach(), value.detach()]), joined)
    embeddings = source["decoder/embeddings/weight"].astype(np.float32)
    assert np.array_equal(model.proj_out.weight.detach(), embeddings)


def test_an_english_model_knows_no_languages(converted: Path) -> None:
    config = GenerationConfig.from_pretrained(converted)
    assert config.is_multilingual is False
    assert config.no_timestamps_token_id == FIRST_SPECIAL + 5 and config.alignment_heads == [[0, 0]]
    assert not hasattr(config, "lang_to_id")


def test_the_tokenizer_gets_the_timestamps_that_it_lacks(converted: Path) -> None:
    tokens = json.loads((converted / "tokenizer.json").read_text())["added_tokens"]
    ids = {token["content"]: token["id"] for token in tokens}
    assert ids["<|0.00|>"] == ids["<|notimestamps|>"] + 1
    assert ids["<|30.00|>"] == ids["<|0.00|>"] + 1500
