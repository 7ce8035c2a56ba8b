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
from deploying import COMMUNITY, CREATE, DRAFTER, LARGE, SPEECH, created, deploy, small_clone
from hub_stand_in import Hub, hub_stand_in
from hub_state import GATED, OWNER, TOKEN, Repository
from huggingface_hub import HfApi

pytestmark = pytest.mark.pure


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub_stand_in(monkeypatch) as hub:
        hub.states = ["running"]
        yield hub


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    return small_clone(tmp_path)


def test_a_session_from_nothing_to_paused(hub: Hub, clone: Path) -> None:
    hub.states = ["initializing", "running"]
    first = deploy(clone, "--diarize", "bundle")
    assert first.exit_code == 0
    assert first.stdout == f"{hub.url}/run/{SPEECH}\n"
    states = [line for line in first.stderr.splitlines() if line.startswith(f"{SPEECH}: ")]
    assert states == [f"{SPEECH}: {each}" for each in ("pending", "initializing", "running")]
    assert "austen.flac: Hello." in first.stderr
    assert "$0.50 an hour" in first.stderr and f"hf endpoints pause {SPEECH}" in first.stderr

    n_writes = len(hub.writes())
    again = deploy(clone, "--diarize", "bundle")
    assert again.exit_code == 0 and "nothing to change" in again.stderr
    assert [each.path for each in hub.writes()[n_writes:]] == [f"/run/{SPEECH}"]

    updated = deploy(clone, "--diarize", "bundle", "--model", LARGE)
    assert updated.exit_code == 0 and "model.env.ASR_MODEL" in updated.stderr
    assert hub.endpoints[SPEECH]["model"]["env"]["ASR_MODEL"] == LARGE
    assert hub.endpoints[SPEECH]["model"]["repository"] == f"{OWNER}/{SPEECH}"

    HfApi(token=TOKEN).pause_inference_endpoint(SPEECH, namespace=OWNER)
    n_calls = len(hub.bodies("POST", "/run"))
    paused = deploy(clone, "--diarize", "bundle", "--model", LARGE)
    assert paused.exit_code == 0 and "paused" in paused.stderr
    assert len(hub.bodies("POST", "/run")) == n_calls


def test_what_is_pushed_is_the_handler_and_nothing_of_the_folder_besides(
    hub: Hub, clone: Path
) -> None:
    deploy(clone, "--diarize", "bundle", "--no-wait")
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
    deploy(clone, "--no-wait")
    there = hub.repositories[f"{OWNER}/{SPEECH}"]
    assert there.files["requirements.txt"] == b"torch\n"
    there.files["speech_endpoint/gone.py"] = b"an older version's"
    there.files["notes.md"] = b"somebody's own"
    (clone / "speech_endpoint/pipeline.py").write_text("newer code")
    revision = created(hub)["model"]["revision"]
    assert deploy(clone, "--no-wait").exit_code == 0
    assert there.files["speech_endpoint/pipeline.py"] == b"newer code"
    assert "speech_endpoint/gone.py" not in there.files and "notes.md" in there.files
    lines = hub.bodies("POST", f"/api/models/{OWNER}/{SPEECH}/commit")[-1].splitlines()
    assert [json.loads(line)["key"] for line in lines] == ["header", "file", "deletedFile"]
    assert hub.endpoints[SPEECH]["model"]["revision"] == there.sha != revision


def test_a_repository_of_the_hub_is_deployed_from_any_folder(hub: Hub, tmp_path: Path) -> None:
    hub.repositories["org/duplicate"] = Repository(private=True, files={"handler.py": b"door"})
    assert deploy(tmp_path, "--repo", "org/duplicate", "--no-wait").exit_code == 0
    assert created(hub)["model"]["repository"] == "org/duplicate"
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
    deploy(clone, *arguments, "--no-wait")  # so that the repository has a revision
    hub.endpoints.clear()
    hub.asked.clear()

    dry = deploy(clone, *arguments, "--dry-run")
    assert dry.exit_code == 0 and not hub.writes()
    body = json.loads(dry.stdout)
    assert body["model"]["env"] == env and body["type"] == "private"
    assert body["compute"]["instanceType"] == instance
    if secrets:
        assert body["model"].pop("secrets") == {"HF_TOKEN": "hf_…(masked)"}
        body["model"]["secrets"] = {"HF_TOKEN": TOKEN}
    else:
        assert "secrets" not in body["model"]

    deploy(clone, *arguments, "--no-wait")
    assert created(hub) == body

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
    deploy(clone, "--no-wait")
    assert created(hub)["type"] == "private"
    assert created(hub)["compute"]["scaling"] == {
        "maxReplica": 1,
        "minReplica": 0,
        "scaleToZeroTimeout": 15,
        "measure": {"pendingRequests": 1.5},
    }
    hub.endpoints.clear()
    deploy(clone, "--no-wait", "--authenticated")
    assert hub.bodies("POST", CREATE)[1]["type"] == "authenticated"
    assert deploy(clone, "--authenticated", "--public").exit_code == 2


def test_an_endpoint_that_is_open_is_not_left_so_without_a_word(hub: Hub, clone: Path) -> None:
    deploy(clone, "--no-wait", "--public")
    refused = deploy(clone, "--no-wait")
    assert refused.exit_code == 78 and "is public, not private" in refused.stderr
    assert not hub.bodies("PUT", CREATE)


def test_an_endpoint_keeps_its_machine_and_its_own_variables(hub: Hub, clone: Path) -> None:
    deploy(clone, "--no-wait", "--instance", "nvidia-l4", "--assistant", DRAFTER)
    hub.endpoints[SPEECH]["model"]["env"]["MAX_AUDIO_S"] = "60"
    assert deploy(clone, "--no-wait").exit_code == 0
    there = hub.endpoints[SPEECH]
    assert there["compute"]["instanceType"] == "nvidia-l4"
    assert there["model"]["env"] == {
        "ASR_MODEL": "openai/whisper-large-v3-turbo",
        "MAX_AUDIO_S": "60",
    }
    moved = deploy(clone, "--no-wait", "--instance", "nvidia-a100")
    assert moved.exit_code == 0 and "compute.instanceType" in moved.stderr


def test_the_endpoint_may_have_a_token_of_its_own(
    hub: Hub, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENDPOINT_HF_TOKEN", "hf_SecretReads")
    refused = deploy(clone, *COMMUNITY)
    assert refused.exit_code == 4 and "401" in refused.stderr
    hub.tokens.add("hf_SecretReads")
    assert deploy(clone, *COMMUNITY, "--no-wait").exit_code == 0
    assert created(hub)["model"]["secrets"] == {"HF_TOKEN": "hf_SecretReads"}


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
