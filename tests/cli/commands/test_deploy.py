"""`speech deploy`, over HTTP, against a stand-in of the Hub."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hub_stand_in import COMPUTES, GATED, OWNER, TOKEN, Hub, Repository, compute, hub_stand_in
from huggingface_hub import HfApi

from speech_endpoint.cli.main import main

pytestmark = pytest.mark.pure

SPEECH, LARGE, DRAFTER = "speech", "openai/whisper-large-v3", "distil-whisper/distil-large-v3"
CREATE = f"/v2/endpoint/{OWNER}"
COMMUNITY = ("--diarize", "community")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub_stand_in(monkeypatch) as hub:
        hub.states = ["running"]
        yield hub


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """As much of the project as tells a clone from other folders."""
    files = {
        "handler.py": "door",
        "README.md": "hello",
        "requirements.txt": "torch\npyannote.audio>=4\n",
        "speech_endpoint/pipeline.py": "code",
        "speech_endpoint/__pycache__/pipeline.pyc": "compiled",
        "models/speaker-diarization/model.safetensors": "weights",
        "models/whisper-base/model.safetensors": "weights",
        "tests/data/austen.flac": "sound",
        ".env": "secret",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def _deploy(folder: Path, *arguments: str) -> Result:
    result = CliRunner().invoke(main, ["deploy", SPEECH, "--folder", str(folder), *arguments])
    assert isinstance(result.exception, SystemExit | None), result.exception
    assert "hf_Secret" not in result.output
    return result


def _created(hub: Hub) -> dict:
    (body,) = hub.bodies("POST", CREATE)
    return body


def test_a_session_from_nothing_to_paused(hub: Hub, clone: Path) -> None:
    hub.states = ["initializing", "running"]
    first = _deploy(clone, "--diarize", "bundle")
    assert first.exit_code == 0
    assert first.stdout == f"{hub.url}/run/{SPEECH}\n"
    states = [line for line in first.stderr.splitlines() if line.startswith(f"{SPEECH}: ")]
    assert states == [f"{SPEECH}: {each}" for each in ("pending", "initializing", "running")]
    assert "austen.flac: Hello." in first.stderr
    assert "$0.50 an hour" in first.stderr and f"hf endpoints pause {SPEECH}" in first.stderr

    n_writes = len(hub.writes())
    again = _deploy(clone, "--diarize", "bundle")
    assert again.exit_code == 0 and "nothing to change" in again.stderr
    assert [each.path for each in hub.writes()[n_writes:]] == [f"/run/{SPEECH}"]

    updated = _deploy(clone, "--diarize", "bundle", "--model", LARGE)
    assert updated.exit_code == 0 and "model.env.ASR_MODEL" in updated.stderr
    assert hub.endpoints[SPEECH]["model"]["env"]["ASR_MODEL"] == LARGE
    assert hub.endpoints[SPEECH]["model"]["repository"] == f"{OWNER}/{SPEECH}"

    HfApi(token=TOKEN).pause_inference_endpoint(SPEECH, namespace=OWNER)
    n_calls = len(hub.bodies("POST", "/run"))
    paused = _deploy(clone, "--diarize", "bundle", "--model", LARGE)
    assert paused.exit_code == 0 and "paused" in paused.stderr
    assert len(hub.bodies("POST", "/run")) == n_calls


def test_what_is_pushed_is_the_handler_and_nothing_of_the_folder_besides(
    hub: Hub, clone: Path
) -> None:
    _deploy(clone, "--diarize", "bundle", "--no-wait")
    there = hub.repositories[f"{OWNER}/{SPEECH}"]
    assert there.private
    assert set(there.files) == {
        "handler.py",
        "README.md",
        "requirements.txt",
        "speech_endpoint/pipeline.py",
        "models/speaker-diarization/model.safetensors",
    }
    assert b"pyannote" in there.files["requirements.txt"]


def test_only_what_differs_is_pushed_again(hub: Hub, clone: Path) -> None:
    _deploy(clone, "--no-wait")
    there = hub.repositories[f"{OWNER}/{SPEECH}"]
    assert there.files["requirements.txt"] == b"torch\n"
    there.files["speech_endpoint/gone.py"] = b"an older version's"
    there.files["notes.md"] = b"somebody's own"
    (clone / "speech_endpoint/pipeline.py").write_text("newer code")
    revision = _created(hub)["model"]["revision"]
    assert _deploy(clone, "--no-wait").exit_code == 0
    assert there.files["speech_endpoint/pipeline.py"] == b"newer code"
    assert "speech_endpoint/gone.py" not in there.files and "notes.md" in there.files
    lines = hub.bodies("POST", f"/api/models/{OWNER}/{SPEECH}/commit")[-1].splitlines()
    assert [json.loads(line)["key"] for line in lines] == ["header", "file", "deletedFile"]
    assert hub.endpoints[SPEECH]["model"]["revision"] == there.sha != revision


def test_a_repository_of_the_hub_is_deployed_from_any_folder(hub: Hub, tmp_path: Path) -> None:
    hub.repositories["org/duplicate"] = Repository(private=True, files={"handler.py": b"door"})
    assert _deploy(tmp_path, "--repo", "org/duplicate", "--no-wait").exit_code == 0
    assert _created(hub)["model"]["repository"] == "org/duplicate"
    assert hub.repositories["org/duplicate"].n_commits == 0


@pytest.mark.parametrize(
    ("arguments", "env", "secrets", "instance"),
    [
        ((), {"ASR_MODEL": "openai/whisper-large-v3-turbo"}, False, "nvidia-t4"),
        (
            ("--model", LARGE, "--assistant", DRAFTER),
            {"ASR_MODEL": LARGE, "ASSISTANT_MODEL": DRAFTER},
            False,
            "nvidia-t4",
        ),
        (
            ("--model", LARGE, "--assistant", DRAFTER, "--diarize", "bundle"),
            {
                "ASR_MODEL": LARGE,
                "ASSISTANT_MODEL": DRAFTER,
                "DIARIZATION_MODEL": "models/speaker-diarization",
            },
            False,
            "nvidia-l4",
        ),
        (
            (*COMMUNITY, "--instance", "aws-us-east-1-nvidia-a100-x1"),
            {"ASR_MODEL": "openai/whisper-large-v3-turbo", "DIARIZATION_MODEL": GATED},
            True,
            "nvidia-a100",
        ),
        (
            ("--image", "ghcr.io/you/speech:1", "--diarize", "bundle"),
            {
                "ASR_MODEL": "openai/whisper-large-v3-turbo",
                "DIARIZATION_MODEL": "/repository/models/speaker-diarization",
                "HOST": "0.0.0.0",
                "PORT": "8000",
                "ALLOW_ANYONE": "1",
            },
            False,
            "nvidia-t4",
        ),
    ],
    ids=["asr", "assistant", "bundle", "community-1", "image"],
)
def test_a_dry_run_prints_what_is_then_sent_and_hf_sends_the_same(
    hub: Hub,
    clone: Path,
    arguments: tuple[str, ...],
    env: dict[str, str],
    secrets: bool,
    instance: str,
) -> None:
    _deploy(clone, *arguments, "--no-wait")  # so that the repository has a revision
    hub.endpoints.clear()
    hub.asked.clear()

    dry = _deploy(clone, *arguments, "--dry-run")
    assert dry.exit_code == 0 and not hub.writes()
    body = json.loads(dry.stdout)
    assert body["model"]["env"] == env and body["type"] == "private"
    assert body["compute"]["instanceType"] == instance
    if secrets:
        assert body["model"].pop("secrets") == {"HF_TOKEN": "hf_…(masked)"}
        body["model"]["secrets"] = {"HF_TOKEN": TOKEN}
    else:
        assert "secrets" not in body["model"]

    _deploy(clone, *arguments, "--no-wait")
    assert _created(hub) == body

    hub.endpoints.clear()
    command = dry.stderr[dry.stderr.index("hf endpoints deploy") :].replace("\\\n", " ")
    _hf(hub, shlex.split(command)[1:])
    assert hub.bodies("POST", CREATE)[1] == body


def _hf(hub: Hub, arguments: list[str]) -> None:
    """The Hub's own command, told where the stand-in is: of one address it reads no variable."""
    code = (
        "import sys\nfrom huggingface_hub import constants\n"
        f"constants.INFERENCE_ENDPOINTS_ENDPOINT = {f'{hub.url}/v2'!r}\n"
        "from huggingface_hub.cli.hf import main\nmain()"
    )
    env = os.environ | {"HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN}
    done = subprocess.run([sys.executable, "-c", code, *arguments], env=env, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_without_asking_nobody_else_may_call(hub: Hub, clone: Path) -> None:
    _deploy(clone, "--no-wait")
    assert _created(hub)["type"] == "private"
    assert _created(hub)["compute"]["scaling"] == {
        "maxReplica": 1,
        "minReplica": 0,
        "scaleToZeroTimeout": 15,
        "measure": {"pendingRequests": 1.5},
    }
    hub.endpoints.clear()
    _deploy(clone, "--no-wait", "--authenticated")
    assert hub.bodies("POST", CREATE)[1]["type"] == "authenticated"
    assert _deploy(clone, "--authenticated", "--public").exit_code == 2


def test_an_endpoint_that_is_open_is_not_left_so_without_a_word(hub: Hub, clone: Path) -> None:
    _deploy(clone, "--no-wait", "--public")
    refused = _deploy(clone, "--no-wait")
    assert refused.exit_code == 78 and "is public, not private" in refused.stderr
    assert not hub.bodies("PUT", CREATE)


def test_an_endpoint_keeps_its_machine_and_its_own_variables(hub: Hub, clone: Path) -> None:
    _deploy(clone, "--no-wait", "--instance", "nvidia-l4", "--assistant", DRAFTER)
    hub.endpoints[SPEECH]["model"]["env"]["MAX_AUDIO_S"] = "60"
    assert _deploy(clone, "--no-wait").exit_code == 0
    there = hub.endpoints[SPEECH]
    assert there["compute"]["instanceType"] == "nvidia-l4"
    assert there["model"]["env"] == {
        "ASR_MODEL": "openai/whisper-large-v3-turbo",
        "MAX_AUDIO_S": "60",
    }
    moved = _deploy(clone, "--no-wait", "--instance", "nvidia-a100")
    assert moved.exit_code == 0 and "compute.instanceType" in moved.stderr


def test_the_endpoint_may_have_a_token_of_its_own(
    hub: Hub, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENDPOINT_HF_TOKEN", "hf_SecretReads")
    refused = _deploy(clone, *COMMUNITY)
    assert refused.exit_code == 4 and "401" in refused.stderr
    hub.tokens.add("hf_SecretReads")
    assert _deploy(clone, *COMMUNITY, "--no-wait").exit_code == 0
    assert _created(hub)["model"]["secrets"] == {"HF_TOKEN": "hf_SecretReads"}


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
    result = _deploy(clone, *COMMUNITY)
    assert result.exit_code == code
    assert told in result.stderr.splitlines()[-1] and result.stderr.count("error: ") == 1
    assert not result.stdout


def test_conditions_not_accepted_are_told_before_anything_is_pushed(hub: Hub, clone: Path) -> None:
    hub.accepted.clear()
    result = _deploy(clone, *COMMUNITY)
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
        result = _deploy(folder, *arguments)
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
    _deploy(clone, "--diarize", "bundle", "--no-wait")
    assert _created(hub)["compute"]["instanceType"] == "nvidia-l4"
    hub.endpoints.clear()
    hub.computes = hub.computes[:1]
    none = _deploy(clone, "--diarize", "bundle")
    assert none.exit_code == 75 and "a GPU with 8.6 GB" in none.stderr


def test_an_endpoint_that_fails_shows_the_end_of_its_log(hub: Hub, clone: Path) -> None:
    hub.states, hub.failure = ["failed"], "out of memory"
    hub.log = "\n".join([*(f"line {i}" for i in range(40)), f"HF_TOKEN={TOKEN}"])
    result = _deploy(clone)
    assert result.exit_code == 1
    assert "speech has failed: out of memory" in result.stderr
    assert "| line 39" in result.stderr and "| line 20" not in result.stderr
    assert f"/{OWNER}/endpoints/{SPEECH}/logs" in result.stderr


def test_an_endpoint_that_is_not_there_in_time_can_be_waited_for_again(
    hub: Hub, clone: Path
) -> None:
    hub.states = ["initializing"]
    late = _deploy(clone, "--timeout", "0")
    assert late.exit_code == 75 and "is still pending" in late.stderr
    hub.states = ["running"]
    assert _deploy(clone).exit_code == 0
    assert len(hub.bodies("POST", CREATE)) == 1


def test_an_endpoint_that_runs_and_does_not_transcribe_is_a_failure(hub: Hub, clone: Path) -> None:
    hub.refusals["POST", "/run"] = (400, "inputs: no sound")
    result = _deploy(clone)
    assert result.exit_code == 1 and "does not transcribe" in result.stderr


def test_without_a_token_or_a_hub_nothing_is_tried(
    hub: Hub, clone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    unreachable = _deploy(clone)
    assert unreachable.exit_code == 4 and "cannot be reached" in unreachable.stderr
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    missing = _deploy(clone)
    assert missing.exit_code == 4 and "set HF_TOKEN" in missing.stderr


def test_help_is_there_without_the_hubs_library() -> None:
    code = """
import sys
sys.argv[1:] = ["deploy", "--help"]
from speech_endpoint.cli.main import main
try:
    main()
finally:
    assert not {"torch", "huggingface_hub", "requests"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--dry-run" in done.stdout
