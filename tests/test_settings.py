"""The environment, and what start-up does with it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import REPOSITORY

from speech_endpoint.config import ModelSettings

pytestmark = pytest.mark.core


def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_verysecret")
    settings = ModelSettings()
    assert settings.hf_token is not None and settings.hf_token.get_secret_value() == "hf_verysecret"
    assert "verysecret" not in repr(settings) + str(settings.model_dump())


def test_one_click_has_a_model_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ASR_MODEL", "ASSISTANT_MODEL", "DIARIZATION_MODEL", "HF_TOKEN"):
        monkeypatch.setenv(name, "")
    settings = ModelSettings()
    assert settings.asr_model == "openai/whisper-large-v3-turbo"
    assert settings.assistant_model is None and settings.diarization_model is None


def test_a_directory_is_found_relative_to_the_repository() -> None:
    settings = ModelSettings()
    assert settings.local_or_hub("tests", str(REPOSITORY)) == str(REPOSITORY / "tests")
    assert settings.local_or_hub("openai/whisper-base", str(REPOSITORY)) == "openai/whisper-base"


def test_asr_alone_does_not_import_pyannote() -> None:
    script = (
        "import sys, os; os.environ['ASR_MODEL'] = 'models/whisper-tiny.en'; \n"
        "os.environ.pop('DIARIZATION_MODEL', None)\n"
        "import torch; threads = torch.get_num_threads()\n"
        "from handler import EndpointHandler; EndpointHandler('.')\n"
        "assert not any(name.startswith('pyannote') for name in sys.modules)\n"
        "assert torch.get_num_threads() == threads\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, check=True)


def test_a_model_that_is_nowhere_is_named() -> None:
    from handler import EndpointHandler

    patch = pytest.MonkeyPatch()
    patch.setenv("ASR_MODEL", "nobody/no-such-model")
    patch.setenv("HF_TOKEN", "hf_verysecret")
    try:
        with pytest.raises(RuntimeError, match="nobody/no-such-model") as caught:
            EndpointHandler(str(REPOSITORY))
        assert "verysecret" not in str(caught.value)
    finally:
        patch.undo()
