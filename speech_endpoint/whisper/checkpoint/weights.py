"""The weights of a checkpoint, from files that can hold no code, checked against its sizes."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from speech_endpoint.whisper.checkpoint.files import (
    INDEX_SUFFIX,
    PICKLED,
    SAFETENSORS,
    UnusableCheckpoint,
    read_json,
    refuse_pointer,
)
from speech_endpoint.whisper.checkpoint.published import Sizes

# Older versions run code that a file holds even where they are told to read weights only
# (CVE-2025-32434).
SAFE_PICKLE_VERSION = (2, 6)
# What wrappers for training and the model without its head put before, or leave out of, a name.
WRAPPERS = re.compile(r"^((_orig_mod|module|model)\.)*(?=(encoder|decoder)\.)")
TOKEN_EMBEDDING = "model.decoder.embed_tokens.weight"
OUTPUT_MATRIX = "proj_out.weight"

Shape = tuple[int, ...]


def read_weights(directory: Path, sizes: Sizes) -> dict[str, Tensor]:
    """The weights by transformers' names, on the CPU, in the number format of the file.

    Raises:
        UnusableCheckpoint: there are none, or others than `sizes` says.
    """
    files = _weight_files(directory)
    weights: dict[str, Tensor] = {}
    for file in files:
        weights |= _read(file)
    weights = {WRAPPERS.sub("model.", name): tensor for name, tensor in weights.items()}
    _check(weights, sizes, files[0].name if len(files) == 1 else "the weights")
    return weights


def _weight_files(directory: Path) -> list[Path]:
    for name in (SAFETENSORS, PICKLED):
        if (directory / name).is_file():
            return [directory / name]
        if (directory / (name + INDEX_SUFFIX)).is_file():
            return _shards(directory, name + INDEX_SUFFIX)
    if (directory / "adapter_config.json").is_file():
        raise UnusableCheckpoint(
            f"{SAFETENSORS} is missing beside adapter_config.json: this is an adapter; merge it"
            " into its base model (peft's merge_and_unload) and save the result"
        )
    raise UnusableCheckpoint(
        f"{SAFETENSORS} is missing; save the model with transformers' save_pretrained (weights of"
        " Flax, TensorFlow, CTranslate2 or whisper.cpp cannot be read)"
    )


def _shards(directory: Path, index: str) -> list[Path]:
    weight_map = read_json(directory / index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise UnusableCheckpoint(f"{index} names no files; save the model again")
    names = sorted({Path(str(name)).name for name in weight_map.values()})
    missing = next((name for name in names if not (directory / name).is_file()), None)
    if missing is not None:
        raise UnusableCheckpoint(f"{missing}, which {index} names, is missing; upload it too")
    return [directory / name for name in names]


def _read(file: Path) -> dict[str, Tensor]:
    refuse_pointer(file)
    try:
        content = load_file(file) if file.suffix == ".safetensors" else _unpickle(file)
    except (SafetensorError, OSError, RuntimeError, EOFError, KeyError, ValueError) as error:
        if isinstance(error, UnusableCheckpoint):
            raise
        cause = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise UnusableCheckpoint(f"{file.name} is damaged ({cause}); upload it again") from None
    if not isinstance(content, Mapping) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in content.items()
    ):
        raise UnusableCheckpoint(
            f"{file.name} holds something else than named weights; save the model with"
            " transformers' save_pretrained"
        )
    return dict(content)


def _unpickle(file: Path) -> dict[str, Tensor]:
    version = re.match(r"(\d+)\.(\d+)", torch.__version__)
    if version is None or tuple(map(int, version.groups())) < SAFE_PICKLE_VERSION:
        raise UnusableCheckpoint(
            f"{file.name} can be read safely from torch 2.6 on, and this is {torch.__version__};"
            f" save the model as {SAFETENSORS}"
        )
    try:
        weights: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise UnusableCheckpoint(
            f"{file.name} holds more than weights (code, perhaps), and is not read; save the model"
            f" as {SAFETENSORS}"
        ) from None
    return weights


def _check(weights: Mapping[str, Tensor], sizes: Sizes, source: str) -> None:
    """Raise UnusableCheckpoint unless these are the weights of a network of these sizes."""
    expected = weight_shapes(sizes)
    for side in ("encoder", "decoder"):
        pattern = re.compile(rf"model\.{side}\.layers\.(\d+)\.")
        found = {int(match[1]) for match in map(pattern.match, weights) if match}
        said = getattr(sizes, f"{side}_layers")
        if found and found != set(range(said)):
            raise UnusableCheckpoint(
                f"config.json says {side}_layers {said}, and {source} hold"
                f"{'s' if source != 'the weights' else ''} {len(found)}; take both from the same"
                " model"
            )
    for name, shape in expected.items():
        if name not in weights:
            raise UnusableCheckpoint(
                f"{source} lacks {name}; this is no whole Whisper: save the whole model"
            )
        _check_tensor(name, weights[name], shape, source)
    if OUTPUT_MATRIX in weights:
        shape = (sizes.vocab_size, sizes.d_model)
        _check_tensor(OUTPUT_MATRIX, weights[OUTPUT_MATRIX], shape, source)


def _check_tensor(name: str, tensor: Tensor, shape: Shape, source: str) -> None:
    if tuple(tensor.shape) != shape:
        raise UnusableCheckpoint(
            f"{source} has {name} of shape {tuple(tensor.shape)}, and config.json says {shape};"
            " take both from the same model"
        )
    if tensor.dtype not in (torch.float32, torch.float16, torch.bfloat16, torch.float64):
        raise UnusableCheckpoint(
            f"{source} has {name} in {str(tensor.dtype).removeprefix('torch.')}; save the model in"
            " float16"
        )
    # NaN is both the least and the most. `isfinite` of all numbers takes fifty times as long.
    if not torch.stack(torch.aminmax(tensor)).isfinite().all():
        raise UnusableCheckpoint(
            f"{source} has numbers in {name} that are not finite: the training has failed; take an"
            " earlier step of it"
        )


def weight_shapes(sizes: Sizes) -> dict[str, Shape]:
    """The shapes of all weights that a network of these sizes needs, by transformers' names."""
    width = sizes.d_model
    encoder, decoder = "model.encoder.", "model.decoder."
    shapes: dict[str, Shape] = {
        encoder + "conv1.weight": (width, sizes.num_mel_bins, 3),
        encoder + "conv1.bias": (width,),
        encoder + "conv2.weight": (width, width, 3),
        encoder + "conv2.bias": (width,),
        encoder + "embed_positions.weight": (sizes.max_source_positions, width),
        TOKEN_EMBEDDING: (sizes.vocab_size, width),
        decoder + "embed_positions.weight": (sizes.max_target_positions, width),
    }
    for n in range(sizes.encoder_layers):
        prefix = f"{encoder}layers.{n}."
        shapes |= _layer_shapes(prefix, ["self_attn"], width, sizes.encoder_ffn_dim)
    for n in range(sizes.decoder_layers):
        prefix = f"{decoder}layers.{n}."
        attentions = ["self_attn", "encoder_attn"]
        shapes |= _layer_shapes(prefix, attentions, width, sizes.decoder_ffn_dim)
    for side in (encoder, decoder):
        shapes |= _linear_shapes(side + "layer_norm", (width,))
    return shapes


def _layer_shapes(prefix: str, attentions: list[str], width: int, inner: int) -> dict[str, Shape]:
    shapes = _linear_shapes(prefix + "fc1", (inner, width))
    shapes |= _linear_shapes(prefix + "fc2", (width, inner))
    shapes |= _linear_shapes(prefix + "final_layer_norm", (width,))
    for attention in attentions:
        for part in "qkvo":
            name = f"{prefix}{attention}.{'out' if part == 'o' else part}_proj"
            shapes |= _linear_shapes(name, (width, width))
        # Keys have no bias.
        del shapes[f"{prefix}{attention}.k_proj.bias"]
        shapes |= _linear_shapes(f"{prefix}{attention}_layer_norm", (width,))
    return shapes


def _linear_shapes(name: str, weight: Shape) -> dict[str, Shape]:
    return {name + ".weight": weight, name + ".bias": weight[:1]}


def _encoder_names(weights: Mapping[str, Tensor]) -> list[str]:
    return [name for name in weights if name.startswith("model.encoder.")]


def encoder_size(weights: Mapping[str, Tensor]) -> int:
    """How many numbers a model's encoder has."""
    return sum(weights[name].numel() for name in _encoder_names(weights))


def same_encoder(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Whether two models' encoders are equal, weight for weight, as distil-whisper's is: one pass
    does for both.

    Compared in the coarser of the two files' number formats: a copy in another is the same encoder.
    """
    names = _encoder_names(other)
    return sorted(names) == sorted(_encoder_names(one)) and all(
        _equal_when_rounded(one[name], other[name]) for name in names
    )


def _equal_when_rounded(one: Tensor, other: Tensor) -> bool:
    coarser = max(one.dtype, other.dtype, key=lambda dtype: torch.finfo(dtype).eps)
    return torch.equal(one.to(coarser), other.to(coarser))
