"""The same by hand: `hf` command lines, which hold no token."""

from __future__ import annotations

import shlex

from speech_endpoint.deployment.desired import (
    FRAMEWORK,
    MAX_REPLICAS,
    MIN_REPLICAS,
    SCALE_TO_ZERO_MIN,
    SCALING_METRIC,
    TASK,
    TOKEN_VARIABLE,
    Desired,
)
from speech_endpoint.deployment.wish import IMAGE_HEALTH_ROUTE, IMAGE_PORT


def deploy_command(desired: Desired) -> str:
    """What creates this endpoint; `hf` takes a secret's value from its own environment or login."""
    machine, wish = desired.machine, desired.wish
    options: list[tuple[str, object]] = [
        ("--namespace", desired.namespace),
        ("--repo", desired.repository),
        *([("--revision", desired.revision)] if desired.revision else []),
        ("--framework", FRAMEWORK),
        ("--task", TASK),
        ("--vendor", machine.vendor),
        ("--region", machine.region),
        ("--accelerator", machine.accelerator),
        ("--instance-type", machine.instance_type),
        ("--instance-size", machine.instance_size),
        ("--min-replica", MIN_REPLICAS),
        ("--max-replica", MAX_REPLICAS),
        ("--scale-to-zero-timeout", SCALE_TO_ZERO_MIN),
        ("--scaling-metric", SCALING_METRIC),
        ("--scaling-threshold", desired.scaling_threshold),
        ("--type", wish.access),
        *(("--env", f"{name}={value}") for name, value in desired.env.items()),
        *([("--secrets", TOKEN_VARIABLE)] if desired.needs_token else []),
    ]
    if wish.image:
        options += [
            ("--custom-image", wish.image),
            ("--health-route", IMAGE_HEALTH_ROUTE),
            ("--port", IMAGE_PORT),
        ]
    lines = [f"hf endpoints deploy {shlex.quote(wish.name)}"]
    lines += [f"  {option} {shlex.quote(str(value))}" for option, value in options]
    return " \\\n".join(lines)


def further_commands(desired: Desired) -> str:
    """What else can be done with the endpoint."""
    target = f"{shlex.quote(desired.wish.name)} --namespace {shlex.quote(desired.namespace)}"
    return "\n".join(
        f"hf endpoints {verb} {target}" for verb in ("describe", "pause", "resume", "delete")
    )


def call_command(url: str) -> str:
    """What asks the endpoint for a transcript."""
    return (
        f'curl {shlex.quote(url)} -H "Authorization: Bearer $HF_TOKEN" -H "X-Scale-Up-Timeout: 600"'
        ' -H "Content-Type: audio/flac" --data-binary @call.flac'
    )
