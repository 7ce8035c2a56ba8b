"""What the container promises: who it runs as, what goes into it, what compose grants it."""

from __future__ import annotations

import fnmatch
import re
import shlex
from pathlib import PurePosixPath

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from paths import REPOSITORY

from speech_endpoint.server.settings import ServerSettings

pytestmark = pytest.mark.pure


def _instructions() -> list[tuple[str, str]]:
    """(instruction, arguments) with continued lines joined and comments left out."""
    text = (REPOSITORY / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def _stages() -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """Name to (the stage or image that it is from, its instructions)."""
    stages: dict[str, tuple[str, list[tuple[str, str]]]] = {}
    current: list[tuple[str, str]] = []
    for name, arguments in _instructions():
        if name == "FROM":
            origin, _, stage = arguments.split()
            current = []
            stages[stage] = (origin, current)
        else:
            current.append((name, arguments))
    return stages


def _inherited(stage: str) -> list[tuple[str, str]]:
    """A stage's instructions after those of the stages that it is from."""
    stages = _stages()
    origin, own = stages[stage]
    return [*(_inherited(origin) if origin in stages else ()), *own]


@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_a_target_serves_as_nobody_of_importance_and_says_how_it_is(target: str) -> None:
    found = dict(_inherited(target))
    assert found["USER"] == "1000:1000"
    assert _inherited(target)[-1][0] == "USER", "what follows would run as root or be root's"
    assert "/health" in found["HEALTHCHECK"]
    assert (found["ENTRYPOINT"], found["CMD"]) == ('["speech"]', '["serve"]')
    assert found["STOPSIGNAL"] == "SIGTERM"


def test_the_last_target_is_the_default_and_for_gpus() -> None:
    assert list(_stages())[-1] == "cuda"


def test_images_are_pinned_and_no_layer_holds_a_secret() -> None:
    stages = _stages()
    for origin, instructions in stages.values():
        assert origin in stages or re.fullmatch(r"python:3\.11-slim-\w+", origin)
        for name, arguments in instructions:
            assert name != "ADD"
            assert name not in ("ENV", "ARG") or not re.search("TOKEN|KEY|SECRET", arguments)


def test_what_is_copied_is_not_ignored_and_nothing_else_is_sent() -> None:
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    allowed = {line[1:] for line in patterns if line.startswith("!")}
    assert "*" in patterns
    copied: set[str] = set()
    for name, arguments in _instructions():
        if name == "COPY" and "--from" not in arguments:
            copied.update(shlex.split(arguments)[:-1])
    assert copied == allowed
    assert all((REPOSITORY / path).exists() for path in copied)
    assert any(fnmatch.fnmatch("a/__pycache__", line) for line in patterns)


def test_variables_that_the_image_sets_are_settings_or_other_programs() -> None:
    fields = {name.upper() for name in ServerSettings.model_fields}
    others = {"HF_HOME", "MPLCONFIGDIR", "TRITON_CACHE_DIR", "PYTHONUNBUFFERED"}
    for name, arguments in _instructions():
        for each in shlex.split(arguments) if name == "ENV" else ():
            variable = each.partition("=")[0]
            assert variable in fields | others or variable.startswith(("PIP_", "NVIDIA_"))


def test_compose_grants_a_cache_and_a_port_and_nothing_more() -> None:
    service = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())["services"]["speech"]
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["build"]["target"] in _stages()
    assert service["environment"]["API_KEYS"].startswith("${API_KEYS:?")
    fields = {name.upper() for name in ServerSettings.model_fields}
    assert service["environment"].keys() <= fields
    written = {PurePosixPath(path) for path in service["tmpfs"]}
    written |= {PurePosixPath(volume.partition(":")[2]) for volume in service["volumes"]}
    assert written == {PurePosixPath("/tmp"), PurePosixPath("/cache")}
    settings = ServerSettings()
    drain_s = settings.drain_delay_s + settings.drain_s
    assert int(service["stop_grace_period"].removesuffix("s")) > drain_s


def test_the_versions_that_are_pinned_are_those_that_are_required() -> None:
    lines = (REPOSITORY / "requirements.lock").read_text().splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    versions = {canonicalize_name(pin.name): next(iter(pin.specifier)).version for pin in pins}
    for name in ("requirements.txt", "requirements-server.txt", "requirements-cli.txt"):
        for line in (REPOSITORY / name).read_text().splitlines():
            if line and not line.startswith("#"):
                needed = Requirement(line)
                assert needed.specifier.contains(versions[canonicalize_name(needed.name)]), line
