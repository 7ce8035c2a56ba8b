"""Pack what `benchmarks.gpu` needs on a bare machine without a network into .gpu/.

The machine has Python 3.12, torch, triton and transformers; packed are whisper-tiny.en as int8, the
diarization bundle, recordings as int16, Silero's weights, pyannote's pure Python, and wheels of
what is compiled. Nothing that is installed there is replaced. Run it after `make models`.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from benchmarks.gpu.recordings import read_recordings
from benchmarks.gpu.tokens import PACKED, ROOT, write_packed

ASR_FILES = ("config.json", "generation_config.json", "preprocessor_config.json", "vocab.json",
             "merges.txt", "added_tokens.json", "tokenizer.json")  # fmt: skip
PURE = ("pyannote", "pyannoteai", "asteroid_filterbanks", "torch_audiomentations",
        "torch_pitch_shift", "julius", "primePy", "pytorch_metric_learning")  # fmt: skip
WHEELS = ("pydantic", "pydantic-settings")
TARGET = ("--python-version", "3.12", "--platform", "manylinux2014_x86_64",
          "--only-binary", ":all:")  # fmt: skip
PARTS = {"speech": ("asr", "audio", "site"), "speakers": ("speakers", "audio", "site")}
MAX_MIB = 60.0


def pack_asr(out: Path) -> None:
    source = ROOT / "models" / "whisper-tiny.en"
    weights = load_file(source / "model.safetensors")
    write_packed({name: w for name, w in weights.items() if name != "proj_out.weight"}, out)
    for name in ASR_FILES:
        if (source / name).is_file():
            shutil.copy(source / name, out)


def pack_speakers(out: Path) -> None:
    shutil.copytree(ROOT / "models" / "speaker-diarization", out, dirs_exist_ok=True)
    file = out / "embedding" / "model.safetensors"
    halved = {
        name: weight.half() if weight.is_floating_point() else weight
        for name, weight in load_file(file).items()
    }
    save_file(halved, file)


def pack_audio(out: Path) -> None:
    out.mkdir(parents=True)
    waves = {
        name: (waveform * 32_767).round().clip(-32_768, 32_767).astype(np.int16)
        for name, waveform in read_recordings().items()
    }
    np.savez_compressed(out / "audio.npz", **waves)  # type: ignore[arg-type]


def pack_site(out: Path) -> None:
    """Silero's weights in an empty package of its name, pure Python, and wheels."""
    spec = importlib.util.find_spec("silero_vad")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("error: silero-vad is not installed")
    silero = out / "silero_vad"
    (silero / "data").mkdir(parents=True)
    (silero / "__init__.py").touch()
    weights = Path(spec.submodule_search_locations[0], "data", "silero_vad_16k.safetensors")
    shutil.copy(weights, silero / "data")
    site = Path(sysconfig.get_paths()["purelib"])
    unwanted = shutil.ignore_patterns("__pycache__", "sample", "*.so")
    for name in PURE:
        shutil.copytree(site / name, out / name, ignore=unwanted)
        for distribution in importlib.metadata.packages_distributions().get(name, []):
            # pyannote asks for the versions of its parts.
            folder = Path(str(importlib.metadata.distribution(distribution).locate_file("")))
            for about in folder.glob(f"{distribution.replace('-', '?')}-*.dist-info"):
                shutil.copytree(about, out / about.name, dirs_exist_ok=True)
    _unpack_wheels(out)


def _unpack_wheels(out: Path) -> None:
    wheels = out.parent / "wheels"
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(wheels)]
    subprocess.run([*download, *TARGET, *WHEELS], check=True)
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as content:
            content.extractall(out)
    shutil.rmtree(wheels)


def mib(directory: Path) -> float:
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file()) / 2**20


def main() -> None:
    argparse.ArgumentParser("python -m benchmarks.gpu.pack", description=__doc__).parse_args()
    torch.set_num_threads(1)
    shutil.rmtree(PACKED, ignore_errors=True)
    pack_asr(PACKED / "asr")
    pack_audio(PACKED / "audio")
    pack_site(PACKED / "site")
    pack_speakers(PACKED / "speakers")
    for run, parts in PARTS.items():
        sizes = {part: mib(PACKED / part) for part in parts}
        each = ", ".join(f"{part} {size:.1f}" for part, size in sizes.items())
        print(f"{run}: {sum(sizes.values()):.1f} MiB ({each})")
        if sum(sizes.values()) > MAX_MIB:
            sys.exit(f"error: more than {MAX_MIB:.0f} MiB for {run}")


if __name__ == "__main__":
    main()
