"""The manifest for Kubernetes says what Ray understands, and what the application has."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from paths import REPOSITORY
from ray.serve.schema import ServeDeploySchema
from two_nodes import CONFIGURATION

from speech_endpoint.cluster import application
from speech_endpoint.cluster.settings import ClusterSettings
from speech_endpoint.errors import InvalidSettings

pytestmark = pytest.mark.pure

MANIFEST = REPOSITORY / "deploy" / "kubernetes" / "rayservice.yaml"
CRD = os.environ.get("RAYSERVICE_CRD")
"""KubeRay's helm-chart/kuberay-operator/crds/ray.io_rayservices.yaml, a megabyte."""


@pytest.fixture(scope="module")
def manifests() -> dict[str, Any]:
    return {each["kind"]: each for each in yaml.safe_load_all(MANIFEST.read_text()) if each}


@pytest.fixture(scope="module")
def service(manifests) -> dict[str, Any]:
    return manifests["RayService"]["spec"]


@pytest.mark.parametrize("where", ["manifest", "one machine"])
def test_serve_understands_the_configuration(service, where) -> None:
    text = service["serveConfigV2"] if where == "manifest" else CONFIGURATION.read_text()
    (found,) = ServeDeploySchema.model_validate(yaml.safe_load(text)).applications
    module, _, function = found.import_path.partition(":")
    assert module == application.__name__ and callable(getattr(application, function))
    assert {each.name for each in found.deployments} <= {"Ingress", "Transcriber", "Diarizer"}


def test_every_replica_fits_on_a_node_and_the_head_has_none(service) -> None:
    cluster = service["rayClusterConfig"]
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    nodes = [limits(group) for group in cluster["workerGroupSpecs"]]
    (found,) = yaml.safe_load(service["serveConfigV2"])["applications"]
    for deployment in found["deployments"]:
        options = deployment["ray_actor_options"]
        wanted = options.get("num_cpus", 1), options.get("num_gpus", 0)
        assert any(wanted[0] <= cpus and wanted[1] <= gpus for cpus, gpus in nodes), deployment


def limits(group: dict[str, Any]) -> tuple[float, float]:
    (container,) = group["template"]["spec"]["containers"]
    found = container["resources"]["limits"]
    return float(found["cpu"]), float(found.get("nvidia.com/gpu", 0))


def test_its_settings_want_a_key(manifests, monkeypatch) -> None:
    for name, value in manifests["ConfigMap"]["data"].items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSettings, match="API_KEYS"):
        ClusterSettings()
    monkeypatch.setenv("API_KEYS", "a-secret")
    assert ClusterSettings().has_keys


@pytest.mark.skipif(CRD is None, reason="RAYSERVICE_CRD names no file")
def test_it_follows_kuberays_schema(manifests) -> None:
    versions = yaml.safe_load(Path(CRD or "").read_text())["spec"]["versions"]
    (schema,) = (each["schema"]["openAPIV3Schema"] for each in versions if each["name"] == "v1")
    # Kubernetes' own, of which the schema says nothing.
    schema["properties"]["metadata"] = {}
    jsonschema.Draft7Validator(strict(schema)).validate(manifests["RayService"])


def strict(schema: Any) -> Any:
    """Kubernetes drops what a schema does not know; here that is a mistake."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    content = {key: strict(value) for key, value in schema.items()}
    if "properties" in content and content.get("type") == "object":
        content.setdefault("additionalProperties", False)
    if content.get("x-kubernetes-int-or-string"):
        content.pop("type", None)
    return content
