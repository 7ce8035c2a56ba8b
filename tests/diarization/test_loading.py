"""Pipelines from strangers: what is loaded, and that nothing in them is run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from fine_tunes import MakesDirectory, edit_json
from pyannote.audio.core.task import Problem, Resolution, Specifications
from pyannote.audio.models.embedding import WeSpeakerResNet34

from speech_endpoint.diarization.diarizer import Diarizer
from speech_endpoint.diarization.loading import load_network, load_pipeline
from speech_endpoint.errors import ModelUnavailable

SPEAKER_DIARIZATION = "pyannote.audio.pipelines.SpeakerDiarization"
PARAMETERS = {
    "segmentation": {"min_duration_off": 0.0},
    "clustering": {"threshold": 0.6, "Fa": 0.07, "Fb": 0.8},
}


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "code-has-run"


@pytest.fixture
def bundle(tmp_path: Path, diarization_bundle: Path) -> Path:
    return shutil.copytree(diarization_bundle, tmp_path / "bundle")


@pytest.fixture
def pipeline(tmp_path: Path, diarization_bundle: Path) -> Path:
    """A directory as community-1 has it: a folder for each network."""
    directory = tmp_path / "community"
    for name in ("segmentation", "plda"):
        shutil.copytree(diarization_bundle / name, directory / name)
    network = WeSpeakerResNet34()
    network.specifications = Specifications(Problem.REPRESENTATION, Resolution.CHUNK, 5.0)
    checkpoint: dict[str, Any] = {"state_dict": network.state_dict()}
    network.on_save_checkpoint(checkpoint)
    (directory / "embedding").mkdir()
    torch.save(checkpoint, directory / "embedding" / "pytorch_model.bin")
    write_config(directory)
    return directory


def write_config(directory: Path, name: str = SPEAKER_DIARIZATION, **more: Any) -> None:
    networks = {part: f"$model/{part}" for part in ("segmentation", "embedding", "plda")}
    parameters = {**networks, "clustering": "VBxClustering", "embedding_exclude_overlap": True}
    content = {"pipeline": {"name": name, "params": parameters | more}, "params": PARAMETERS}
    (directory / "config.yaml").write_text(yaml.safe_dump(content))


def refusal(directory: Path) -> str:
    with pytest.raises(ModelUnavailable) as raised:
        Diarizer(str(directory), token=None, device="cpu")
    message = str(raised.value)
    assert message.startswith(f"DIARIZATION_MODEL '{directory.name}': ")
    assert str(directory.parent) not in message and message.isprintable()
    return message


def bomb(file: Path, marker: Path, legacy: bool = False) -> None:
    torch.save({"x": MakesDirectory(marker)}, file, _use_new_zipfile_serialization=not legacy)


def test_a_pipeline_like_those_of_the_hub_is_loaded(pipeline: Path) -> None:
    loaded = load_pipeline(str(pipeline), None)
    assert loaded.instantiated and loaded.klustering == "VBxClustering"
    from pyannote.audio.core.model import Model

    theirs = Model.from_pretrained(pipeline / "segmentation" / "pytorch_model.bin").eval()
    ours = load_network(pipeline / "segmentation" / "pytorch_model.bin")
    chunk = torch.randn(1, 1, 160_000, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(ours(chunk), theirs(chunk))
    # No threshold for its embeddings was measured: nobody is known by them.
    assert Diarizer(str(pipeline), token=None, device="cpu").embedding_model is None


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("network", ["segmentation", "embedding"])
def test_code_in_a_checkpoint_is_not_run(
    pipeline: Path, marker: Path, network: str, legacy: bool
) -> None:
    bomb(pipeline / network / "pytorch_model.bin", marker, legacy)
    assert "holds more than weights" in refusal(pipeline)
    assert not marker.exists()


def test_code_in_a_bundle_is_not_run(bundle: Path, marker: Path) -> None:
    bomb(bundle / "segmentation" / "pytorch_model.bin", marker)
    assert "holds more than weights" in refusal(bundle)
    assert not marker.exists()


@pytest.mark.parametrize("file", ["plda.npz", "xvec_transform.npz"])
def test_code_in_a_plda_is_not_run(pipeline: Path, marker: Path, file: str) -> None:
    with np.load(pipeline / "plda" / file) as arrays:
        content = dict(arrays)
    content[next(iter(content))] = np.array([MakesDirectory(marker)], dtype=object)
    np.savez(pipeline / "plda" / file, allow_pickle=True, **content)
    assert "holds something else than arrays" in refusal(pipeline)
    assert not marker.exists()


def test_code_in_the_embedding_of_a_bundle_is_not_run(bundle: Path, marker: Path) -> None:
    bomb(bundle / "embedding" / "model.safetensors", marker)
    with pytest.raises(ModelUnavailable, match="'bundle'"):
        Diarizer(str(bundle), token=None, device="cpu")
    edit_json(bundle / "config.json", embedding="segmentation/pytorch_model.bin")
    with pytest.raises(ModelUnavailable, match="'bundle'"):
        Diarizer(str(bundle), token=None, device="cpu")
    assert not marker.exists()


def test_tags_that_name_functions_are_not_obeyed(pipeline: Path, marker: Path) -> None:
    text = f"pipeline: !!python/object/apply:os.mkdir ['{marker}']\n"
    (pipeline / "config.yaml").write_text(text)
    assert "config.yaml is not plain YAML" in refusal(pipeline)
    assert not marker.exists()


@pytest.mark.parametrize("name", ["os.mkdir", "stranger.Pipeline", "subprocess.Popen", "", 7])
def test_only_pyannotes_own_pipeline_is_run(pipeline: Path, marker: Path, name: Any) -> None:
    (pipeline / "stranger.py").write_text(f"import os\nos.mkdir({str(marker)!r})\n")
    write_config(pipeline, name=name)
    assert "only pyannote.audio's SpeakerDiarization is run" in refusal(pipeline)
    assert not marker.exists()


def test_preprocessors_are_not_called(pipeline: Path, marker: Path) -> None:
    content = yaml.safe_load((pipeline / "config.yaml").read_text())
    content["preprocessors"] = {"x": {"name": "os.mkdir", "params": {"path": str(marker)}}}
    (pipeline / "config.yaml").write_text(yaml.safe_dump(content))
    assert "preprocessors, which are not run" in refusal(pipeline)
    assert not marker.exists()


def test_parameters_that_nobody_knows_are_refused(pipeline: Path) -> None:
    write_config(pipeline, cache_dir="/")
    assert "parameters that are not known: cache_dir" in refusal(pipeline)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"architecture": {"module": "os", "class": "mkdir"}}, "of the class 'mkdir'"),
        ({"architecture": None}, "no checkpoint of pyannote.audio"),
    ],
)
def test_a_network_is_one_of_pyannotes(pipeline: Path, change: dict[str, Any], says: str) -> None:
    file = pipeline / "embedding" / "pytorch_model.bin"
    checkpoint = torch.load(file, weights_only=False)
    checkpoint["pyannote.audio"] |= change
    torch.save(checkpoint, file)
    assert says in refusal(pipeline)


def test_a_function_that_hyperparameters_name_is_not_called(pipeline: Path, marker: Path) -> None:
    """lightning imports and calls what `_instantiator` says."""
    file = pipeline / "embedding" / "pytorch_model.bin"
    checkpoint = torch.load(file, weights_only=False)
    checkpoint["hyper_parameters"] = {"_instantiator": "stranger.build"}
    torch.save(checkpoint, file)
    assert isinstance(load_network(file), WeSpeakerResNet34)


@pytest.mark.parametrize(
    "missing", ["config.yaml", "segmentation/pytorch_model.bin", "plda/plda.npz"]
)
def test_a_missing_file_is_named(pipeline: Path, missing: str) -> None:
    (pipeline / missing).unlink()
    assert f"{Path(missing).name} is missing" in refusal(pipeline)
