"""What a deployment says when it cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from deploying import COMMUNITY, CREATE, SPEECH, created, deploy, small_clone
from hub_stand_in import Hub, hub_stand_in
from hub_state import COMPUTES, GATED, OWNER, TOKEN, compute

pytestmark = pytest.mark.pure


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub_stand_in(monkeypatch) as hub:
        hub.states = ["running"]
        yield hub


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    return small_clone(tmp_path)


REFUSALS = [
    ("GET", "/api/whoami-v2", 401, "Invalid username or password.", 4, "refuses the token"),
    ("POST", CREATE, 403, "Quota exceeded: 0 of 4 left", 75, "over the quota"),
    ("POST", CREATE, 400, "quota of nvidia-l4 is used up", 75, "hf endpoints hardware"),
    ("POST", CREATE, 403, "Missing permission", 4, "write access"),
    ("POST", CREATE, 402, "No payment method", 4, "cannot pay"),
    ("POST", CREATE, 409, "name in use", 78, "name is taken"),
    ("POST", CREATE, 500, "oops", 75, "answers 500: oops"),
    ("POST", CREATE, 400, f"bad secret {TOKEN}", 78, "bad secret <token>"),
    ("POST", "/api/repos/create", 403, "Missing permission", 4, "pushing to ann/speech"),
    ("GET", "/v2/provider", 503, "maintenance", 75, "listing hardware"),
]


@pytest.mark.parametrize(("method", "path", "status", "message", "code", "told"), REFUSALS)
def test_what_the_hub_refuses_is_said_in_a_sentence(
    hub: Hub,
    clone: Path,
    method: str,
    path: str,
    status: int,
    message: str,
    code: int,
    told: str,
) -> None:
    hub.refusals[method, path] = (status, message)
    result = deploy(clone, *COMMUNITY)
    assert result.exit_code == code
    assert told in result.stderr.splitlines()[-1] and result.stderr.count("error: ") == 1
    assert not result.stdout


def test_conditions_not_accepted_are_told_before_anything_is_pushed(hub: Hub, clone: Path) -> None:
    hub.accepted.clear()
    result = deploy(clone, *COMMUNITY)
    assert result.exit_code == 78 and not hub.writes()
    assert "DIARIZATION_MODEL: accept the conditions" in result.stderr and GATED in result.stderr


def test_what_cannot_be_is_told_before_anything_is_pushed(
    hub: Hub, clone: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (clone / "models/speaker-diarization/model.safetensors").unlink()
    (clone / "models/speaker-diarization").rmdir()
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for folder, arguments, told in (
        (clone, ("--model", "nobody/nothing"), "nobody/nothing is not on the Hub"),
        (clone, ("--model", "not a name"), "ASR_MODEL"),
        (clone, ("--diarize", "bundle"), "make models"),
        (clone, ("--instance", "nvidia-l5"), "--instance nvidia-l5"),
        (elsewhere, (), "no clone"),
    ):
        result = deploy(folder, *arguments)
        assert (result.exit_code, hub.writes()) == (78, []) and told in result.stderr


@pytest.mark.parametrize(
    "changed",
    [
        {"status": "not_available"},
        {"quota": {"maxAccelerators": 4, "usedAccelerators": 4}},
        {"gpuMemoryGb": 8},
    ],
)
def test_a_machine_that_cannot_be_had_is_not_chosen(
    hub: Hub, clone: Path, changed: dict[str, object]
) -> None:
    hub.computes = [compute("nvidia-t4", 16, 0.5, **changed), *COMPUTES[2:]]
    deploy(clone, "--diarize", "bundle", "--no-wait")
    assert created(hub)["compute"]["instanceType"] == "nvidia-l4"
    hub.endpoints.clear()
    hub.computes = hub.computes[:1]
    none = deploy(clone, "--diarize", "bundle")
    assert none.exit_code == 75 and "a GPU with 8.6 GB" in none.stderr


def test_an_endpoint_that_fails_shows_the_end_of_its_log(hub: Hub, clone: Path) -> None:
    hub.states, hub.failure = ["failed"], "out of memory"
    hub.log = "\n".join([*(f"line {i}" for i in range(40)), f"HF_TOKEN={TOKEN}"])
    result = deploy(clone)
    assert result.exit_code == 1
    assert "speech has failed: out of memory" in result.stderr
    assert "| line 39" in result.stderr and "| line 20" not in result.stderr
    assert f"/{OWNER}/endpoints/{SPEECH}/logs" in result.stderr


def test_an_endpoint_that_is_not_there_in_time_can_be_waited_for_again(
    hub: Hub, clone: Path
) -> None:
    hub.states = ["initializing"]
    late = deploy(clone, "--timeout", "0")
    assert late.exit_code == 75 and "is still pending" in late.stderr
    hub.states = ["running"]
    assert deploy(clone).exit_code == 0
    assert len(hub.bodies("POST", CREATE)) == 1


def test_an_endpoint_that_runs_and_does_not_transcribe_is_a_failure(hub: Hub, clone: Path) -> None:
    hub.refusals["POST", "/run"] = (400, "inputs: no sound")
    result = deploy(clone)
    assert result.exit_code == 1 and "does not transcribe" in result.stderr


def test_without_a_token_or_a_hub_nothing_is_tried(
    hub: Hub, clone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    unreachable = deploy(clone)
    assert unreachable.exit_code == 4 and "cannot be reached" in unreachable.stderr
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    missing = deploy(clone)
    assert missing.exit_code == 4 and "set HF_TOKEN" in missing.stderr
