"""Which machine an endpoint needs."""

from __future__ import annotations

from collections.abc import Iterable

from huggingface_hub import InferenceEndpointHardware

from speech_endpoint.deployment.errors import DeploymentError
from speech_endpoint.deployment.wish import Wish

# GB of a GPU: float16 weights and the caches of 24 slots, counted from the checkpoints' shapes.
# With less, fewer windows are decoded together. A model that is not listed is taken for large-v3.
LARGEST_GB = 10.9
MODEL_GB = {
    "openai/whisper-large-v3": LARGEST_GB,
    "openai/whisper-large-v3-turbo": 2.6,
}
# distil-large-v3: its decoder and caches; the encoder may be the large model's.
ASSISTANT_GB = 2.0
# What the engine leaves free for workspaces, and more for a diarization model.
RESERVED_GB, DIARIZATION_GB = 2.0, 4.0

UNAVAILABLE = frozenset({"not_available", "deprecated"})


def needed_gb(wish: Wish) -> float:
    """GPU memory for 24 windows at once, GB."""
    return (
        MODEL_GB.get(wish.model, LARGEST_GB)
        + (ASSISTANT_GB if wish.assistant else 0.0)
        + RESERVED_GB
        + (DIARIZATION_GB if wish.diarize != "none" else 0.0)
    )


def is_deployable(hardware: InferenceEndpointHardware) -> bool:
    """Whether one replica may start there now."""
    left = hardware.max_accelerators - hardware.used_accelerators
    return hardware.status not in UNAVAILABLE and left >= hardware.num_accelerators


def choose_hardware(
    offered: Iterable[InferenceEndpointHardware], wish: Wish
) -> InferenceEndpointHardware:
    """The cheapest machine within the quota: of those named, else of the GPUs with enough memory.

    Raises:
        DeploymentError: there is none, or the one that was named is not offered.
    """
    offered = list(offered)
    if wish.instance is not None:
        fitting = [each for each in offered if wish.instance in _names(each)]
        if not fitting:
            raise DeploymentError(
                "configuration",
                f"--instance {wish.instance}: there is no such hardware; `hf endpoints hardware`"
                " lists what there is, by id",
            )
        wanted = wish.instance
    else:
        gb = needed_gb(wish)
        fitting = [each for each in offered if (each.gpu_memory_gb or 0) >= gb]
        wanted = f"a GPU with {gb:.1f} GB"
    usable = [each for each in fitting if is_deployable(each)]
    if not usable:
        raise DeploymentError(
            "no_room",
            f"{wanted} is not to be had within the quota now; `hf endpoints hardware --all` lists"
            " quota and availability, --instance chooses",
        )
    # What is scarce may not start; of two that cost the same the name decides, so that the choice
    # stays.
    return min(usable, key=lambda each: (each.status != "available", each.price_per_hour, each.id))


def _names(hardware: InferenceEndpointHardware) -> tuple[str, ...]:
    kind = hardware.instance_type
    return (hardware.id, kind, f"{kind}-{hardware.instance_size}", hardware.accelerator)
