"""An endpoint's settings: what is allowed, and what is never shown."""

from __future__ import annotations

import subprocess
import sys

import pytest
from paths import REPOSITORY
from pydantic import ValidationError

from speech_endpoint.config import ModelSettings, resolve_model

pytestmark = [pytest.mark.pure, pytest.mark.core]


def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", "hf_verysecret")
    settings = ModelSettings()
    assert settings.token == "hf_verysecret"
    shown = repr(settings) + str(settings) + str(settings.model_dump()) + settings.model_dump_json()
    assert "verysecret" not in shown
    monkeypatch.setenv("DEVICE", "foo")
    with pytest.raises(ValidationError) as caught:
        ModelSettings()
    assert "verysecret" not in str(caught.value)


def test_one_click_has_a_model_and_no_more(monkeypatch: pytest.MonkeyPatch):
    for name in ("ASR_MODEL", "ASSISTANT_MODEL", "DIARIZATION_MODEL", "HF_TOKEN"):
        monkeypatch.setenv(name, "")
    settings = ModelSettings()
    assert settings.asr_model == "openai/whisper-large-v3-turbo"
    assert settings.assistant_model is None and settings.diarization_model is None
    assert settings.token is None and not settings.pyannote_metrics_enabled


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:1", "mps"])
def test_a_device_is_accepted(monkeypatch: pytest.MonkeyPatch, device: str):
    monkeypatch.setenv("DEVICE", device)
    assert ModelSettings().device == device


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEVICE", "foo"),
        ("DEVICE", "cuda:"),
        ("DEVICE", "auto:1"),
        ("DTYPE", "float8"),
        ("MAX_AUDIO_S", "0"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str):
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=rf"{name.lower()}\n.*'{value}'"):
        ModelSettings()


def test_a_directory_is_found_relative_to_the_repository():
    assert resolve_model("tests", str(REPOSITORY)) == str(REPOSITORY / "tests")
    assert resolve_model("openai/whisper-base", str(REPOSITORY)) == "openai/whisper-base"


def test_settings_cost_no_import_of_models():
    script = (
        "import sys, config; config.ModelSettings(); config.InferenceConfig.from_parameters({})\n"
        "heavy = {'torch', 'transformers', 'pyannote'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, check=True)
