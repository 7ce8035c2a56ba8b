"""The endpoint as it should be: the API's body, and how it differs from what is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from huggingface_hub import InferenceEndpointHardware

from speech_endpoint.deployment.wish import (
    IMAGE_HEALTH_ROUTE,
    IMAGE_PORT,
    MANAGED_VARIABLES,
    Wish,
)

FRAMEWORK = TASK = "custom"
MIN_REPLICAS, MAX_REPLICAS = 0, 1
SCALE_TO_ZERO_MIN = 15
SCALING_METRIC = "pendingRequests"
# The handler answers one request at a time; the server decodes about a dozen together.
HANDLER_THRESHOLD, SERVER_THRESHOLD = 1.5, 12.0
TOKEN_VARIABLE = "HF_TOKEN"
MASKED = "hf_…(masked)"


@dataclass(frozen=True, slots=True)
class Machine:
    """Where an endpoint runs, in the API's words."""

    vendor: str
    region: str
    accelerator: str
    instance_type: str
    instance_size: str

    @classmethod
    def of(cls, hardware: InferenceEndpointHardware) -> Machine:
        """The machine that a row of the list of hardware is."""
        return cls(
            hardware.vendor,
            hardware.region,
            hardware.accelerator,
            hardware.instance_type,
            hardware.instance_size,
        )

    @classmethod
    def of_endpoint(cls, raw: Mapping[str, Any]) -> Machine:
        """The machine that an endpoint has."""
        compute, provider = raw["compute"], raw["provider"]
        return cls(
            provider["vendor"],
            provider["region"],
            compute["accelerator"],
            compute["instanceType"],
            compute["instanceSize"],
        )

    @property
    def id(self) -> str:
        """As `hf endpoints hardware` names it."""
        return f"{self.vendor}-{self.region}-{self.instance_type}-{self.instance_size}"


@dataclass(frozen=True, slots=True)
class Desired:
    """Everything about an endpoint but its secrets' values."""

    wish: Wish
    namespace: str
    repository: str
    revision: str | None
    machine: Machine
    env: Mapping[str, str]
    needs_token: bool
    """Whether a model can be read only with a token."""

    def arguments(self, token: str) -> dict[str, Any]:
        """For `HfApi.create_inference_endpoint`.

        Args:
            token: what the endpoint gets, if it needs one.
        """
        wish, machine = self.wish, self.machine
        return {
            **self.update_arguments(token),
            "vendor": machine.vendor,
            "region": machine.region,
            "type": wish.access,
        }

    def update_arguments(self, token: str) -> dict[str, Any]:
        """For `HfApi.update_inference_endpoint`, which can change neither place nor access."""
        machine = self.machine
        return {
            "name": self.wish.name,
            "namespace": self.namespace,
            "repository": self.repository,
            "revision": self.revision,
            "framework": FRAMEWORK,
            "task": TASK,
            "accelerator": machine.accelerator,
            "instance_type": machine.instance_type,
            "instance_size": machine.instance_size,
            "min_replica": MIN_REPLICAS,
            "max_replica": MAX_REPLICAS,
            "scale_to_zero_timeout": SCALE_TO_ZERO_MIN,
            "scaling_metric": SCALING_METRIC,
            "scaling_threshold": self.scaling_threshold,
            "env": dict(self.env),
            "custom_image": self._image(),
            "secrets": {TOKEN_VARIABLE: token} if self.needs_token else None,
        }

    @property
    def scaling_threshold(self) -> float:
        """Requests that wait, above which another replica would start."""
        return SERVER_THRESHOLD if self.wish.image else HANDLER_THRESHOLD

    def body(self, token: str = MASKED) -> dict[str, Any]:
        """The JSON that creates the endpoint, as the library sends it."""
        model: dict[str, Any] = {
            "framework": FRAMEWORK,
            "repository": self.repository,
            "revision": self.revision,
            "image": self._image(),
            "task": TASK,
            "env": dict(self.env),
        }
        if self.needs_token:
            model["secrets"] = {TOKEN_VARIABLE: token}
        return {
            "compute": {
                "accelerator": self.machine.accelerator,
                "instanceSize": self.machine.instance_size,
                "instanceType": self.machine.instance_type,
                "scaling": {
                    "maxReplica": MAX_REPLICAS,
                    "minReplica": MIN_REPLICAS,
                    "scaleToZeroTimeout": SCALE_TO_ZERO_MIN,
                    "measure": {SCALING_METRIC: self.scaling_threshold},
                },
            },
            "model": model,
            "name": self.wish.name,
            "provider": {"region": self.machine.region, "vendor": self.machine.vendor},
            "type": self.wish.access,
        }

    def _image(self) -> dict[str, Any]:
        if self.wish.image is None:
            return {"huggingface": {}}
        custom = {
            "url": self.wish.image,
            "healthRoute": IMAGE_HEALTH_ROUTE,
            "port": IMAGE_PORT,
        }
        return {"custom": custom}


def merged_environment(wish: Wish, existing: Mapping[str, Any] | None) -> dict[str, str]:
    """The wish's variables, and those of the endpoint that no deployment manages."""
    there = (existing or {}).get("model", {}).get("env") or {}
    own = {name: str(value) for name, value in there.items() if name not in MANAGED_VARIABLES}
    return own | wish.environment()


def differences(desired: Desired, existing: Mapping[str, Any]) -> list[str]:
    """Where an endpoint is not as desired: paths in the API's body, "model.env.ASR_MODEL".

    What the API does not tell (a secret's value, a field that it leaves out) counts as equal; a
    variable or a secret that is not there, or is there and should not be, does not.
    """
    body = desired.body()
    secrets = body["model"].pop("secrets", {})
    found = list(_differing(body, existing))
    model = existing["model"]
    env, known = model.get("env") or {}, model.get("secrets")
    found += [f"model.env.{name}" for name in sorted(body["model"]["env"].keys() ^ env.keys())]
    if known is not None:
        found += [f"model.secrets.{name}" for name in secrets if name not in known]
    return found


def _differing(desired: Mapping[str, Any], there: Mapping[str, Any]) -> Iterator[str]:
    for name, value in desired.items():
        if name not in there:
            continue
        if name == "image" and value.keys() != there[name].keys():
            yield name
        elif isinstance(value, Mapping) and isinstance(there[name], Mapping):
            yield from (f"{name}.{path}" for path in _differing(value, there[name]))
        elif value != there[name]:
            yield name
