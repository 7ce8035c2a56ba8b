"""Loading pyannote's pipelines and networks without running what their files may hold.

pyannote unpickles checkpoints whole, imports whatever class they or config.yaml name, and calls it
with whatever arguments. Here only weights are unpickled, and names are looked up among pyannote's
own classes.
"""

from __future__ import annotations

import dataclasses
import inspect
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from pyannote.audio.core.model import Introspection, Model
from pyannote.audio.core.plda import PLDA
from pyannote.audio.core.task import Problem, Resolution, Specifications
from pyannote.audio.models import embedding, segmentation
from pyannote.audio.pipelines import SpeakerDiarization
from torch.torch_version import TorchVersion

from speech_endpoint.hub import model_directory

CONFIG, WEIGHTS = "config.yaml", "pytorch_model.bin"
SETTING = "DIARIZATION_MODEL"
PIPELINES = frozenset(
    {
        "pyannote.audio.pipelines.SpeakerDiarization",
        "pyannote.audio.pipelines.speaker_diarization.SpeakerDiarization",
    }
)
# Networks of the pipeline; its other parameters are plain values.
NETWORKS = ("segmentation", "embedding", "plda")
PLAIN = frozenset(
    {
        "clustering",
        "der_variant",
        "embedding_batch_size",
        "embedding_exclude_overlap",
        "legacy",
        "segmentation_batch_size",
        "segmentation_step",
    }
)


class UnusableFile(ValueError):
    """Which file of a pipeline cannot be used, why, and the remedy."""


@dataclasses.dataclass
class _Forgotten:
    """Stands for what training has left in a checkpoint, which nothing here asks for."""


# What pyannote's own checkpoints hold beside weights and plain values. Named as in the files; all
# are data.
SAFE_GLOBALS: list[Any] = [
    TorchVersion,
    Specifications,
    Problem,
    Resolution,
    Introspection,
    *(
        (_Forgotten, f"{library}.callbacks.{name}")
        for library in ("pytorch_lightning", "lightning.pytorch")
        for name in ("early_stopping.EarlyStopping", "model_checkpoint.ModelCheckpoint")
    ),
]


def load_pipeline(model: str, token: str | None) -> SpeakerDiarization:
    """Load a pyannote pipeline from a directory or the Hub.

    Args:
        model: a directory, or a Hub name.
        token: for gated models; appears in no message.

    Raises:
        ModelUnavailable: it cannot be downloaded.
        UnusableFile: a file of it cannot be used.
    """
    directory = model_directory(model, SETTING, _pipeline_files, token)
    config = _read_config(directory / CONFIG)
    parameters = dict(config["pipeline"].get("params") or {})
    unknown = sorted(map(str, set(parameters) - PLAIN - set(NETWORKS)))
    if unknown:
        raise UnusableFile(f"{CONFIG} has parameters that are not known: {', '.join(unknown)[:80]}")
    given_plda = parameters.get("plda")
    for name in ("segmentation", "embedding"):
        file = _find(parameters.get(name), name, directory, token)
        parameters[name] = load_network(file / WEIGHTS if file.is_dir() else file)
    parameters["plda"] = _NoPlda()
    if parameters.setdefault("clustering", "VBxClustering") == "VBxClustering":
        parameters["plda"] = load_plda(_find(given_plda, "plda", directory, token))
    pipeline = SpeakerDiarization(**parameters)
    if config.get("params"):
        pipeline.instantiate(config["params"])
    return pipeline


class _NoPlda(PLDA):
    """For clusterings that use none: pyannote would download its own."""

    def __init__(self) -> None:
        pass


def _pipeline_files(names: Sequence[str]) -> list[str]:
    return [name for name in names if name.endswith((CONFIG, WEIGHTS, ".npz"))]


def _read_config(file: Path) -> dict[str, Any]:
    """config.yaml, if it says no more than which networks and values a pipeline has."""
    if not file.is_file():
        raise UnusableFile(f"{CONFIG} is missing; give a directory or name of a pyannote pipeline")
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError):
        raise UnusableFile(f"{CONFIG} is not plain YAML; copy it from the pipeline") from None
    pipeline = config.get("pipeline") if isinstance(config, dict) else None
    if not isinstance(pipeline, dict):
        raise UnusableFile(f"{CONFIG} describes no pipeline; copy it from the pipeline")
    name = pipeline.get("name")
    if name not in PIPELINES:
        raise UnusableFile(
            f"{CONFIG} names the pipeline {str(name)[:80]!r}; only pyannote.audio's"
            " SpeakerDiarization is run"
        )
    if config.get("preprocessors"):
        raise UnusableFile(f"{CONFIG} names preprocessors, which are not run; leave them out")
    if not isinstance(pipeline.get("params") or {}, dict):
        raise UnusableFile(f"{CONFIG} has no parameters of the pipeline; copy it from the pipeline")
    return dict(config)


def _find(reference: Any, name: str, directory: Path, token: str | None) -> Path:
    """Where a network lies that config.yaml refers to: a directory, or the file itself.

    Args:
        reference: "$model/SUBFOLDER", a path, a Hub name, or {"checkpoint": …, "subfolder": …}.
        name: the parameter's.
        directory: the pipeline's.
        token: for gated models.
    """
    if isinstance(reference, Mapping):
        subfolder = reference.get("subfolder")
        place = _find(reference.get("checkpoint"), name, directory, token)
        return place / str(subfolder) if subfolder else place
    if not isinstance(reference, str):
        raise UnusableFile(f"{CONFIG} does not say where {name} is")
    if reference.startswith("$model/"):
        return directory / reference.removeprefix("$model/")
    for path in (directory / reference, Path(reference)):
        if path.exists():
            return path
    if "@" in reference:
        raise UnusableFile(f"{CONFIG} names a revision in {name} {reference[:80]!r}; leave it out")
    return model_directory(reference, f"{SETTING}: {name}", _pipeline_files, token)


def load_network(file: Path) -> Model:
    """One of pyannote's networks, in evaluation mode on the CPU, from a checkpoint of its own kind.

    Raises:
        UnusableFile: it holds more than weights and plain values, or another network.
    """
    checkpoint = _load_weights_only(file)
    try:
        about = checkpoint["pyannote.audio"]
        class_name, specifications = about["architecture"]["class"], about["specifications"]
        weights = checkpoint["state_dict"]
        arguments = dict(checkpoint.get("hyper_parameters") or {})
    except (KeyError, TypeError, ValueError):
        raise UnusableFile(f"{file.name} is no checkpoint of pyannote.audio") from None
    network = _network_class(class_name, file.name)
    known = inspect.signature(network.__init__).parameters
    try:
        model = network(**{key: value for key, value in arguments.items() if key in known})
        # Both as pyannote does when it loads one: the last layer depends on what is recognised.
        model.specifications = specifications
        model.setup()
        missing, _ = model.load_state_dict(weights, strict=False)
    except (AttributeError, RuntimeError, TypeError, ValueError, KeyError) as error:
        cause = str(error).splitlines()[0][:120]
        raise UnusableFile(f"{file.name} does not fit its own {class_name} ({cause})") from None
    if missing:
        raise UnusableFile(f"{file.name} lacks {missing[0]}; copy it from the pipeline again")
    return model.eval()


def load_plda(directory: Path) -> PLDA:
    """A PLDA; NumPy reads arrays alone.

    Raises:
        UnusableFile: its files hold something else.
    """
    try:
        return PLDA(directory / "xvec_transform.npz", directory / "plda.npz")
    except FileNotFoundError as error:
        missing = Path(error.filename).name
        raise UnusableFile(f"{missing} is missing; copy it from the pipeline") from None
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, pickle.UnpicklingError):
        raise UnusableFile(
            "xvec_transform.npz or plda.npz holds something else than arrays; copy both from the"
            " pipeline"
        ) from None


def _load_weights_only(file: Path) -> Any:
    if not file.is_file():
        raise UnusableFile(f"{file.name} is missing; copy it from the pipeline")
    try:
        with torch.serialization.safe_globals(SAFE_GLOBALS):
            return torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, EOFError, RuntimeError, ValueError, KeyError, TypeError):
        raise UnusableFile(
            f"{file.name} is damaged, or holds more than weights (code, perhaps), and is not read;"
            " take a pipeline whose checkpoints hold weights and plain values alone"
        ) from None


def _network_class(name: Any, file_name: str) -> type[Model]:
    """A network by its class's name; nothing is imported for it."""
    for module in (segmentation, embedding):
        if name in module.__all__:
            network: type[Model] = getattr(module, name)
            return network
    raise UnusableFile(
        f"{file_name} is of the class {str(name)[:40]!r}, which pyannote.audio does not have"
    )
