"""An endpoint's settings: what is allowed, and what is never shown."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paths import REPOSITORY

from speech_endpoint.config import ModelSettings, resolve_model
from speech_endpoint.errors import InvalidSettings

pytestmark = [pytest.mark.pure, pytest.mark.core]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests' endpoints have theirs in the environment."""
    for name in ModelSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", "hf_verysecret")
    settings = ModelSettings()
    assert settings.token == "hf_verysecret"
    shown = repr(settings) + str(settings) + str(settings.model_dump()) + settings.model_dump_json()
    assert "verysecret" not in shown
    monkeypatch.setenv("DEVICE", "foo")
    with pytest.raises(InvalidSettings) as caught:
        ModelSettings()
    assert "verysecret" not in str(caught.value)


@pytest.mark.parametrize(
    "token", ["hf_very secret", "hf_verysecret\nhf_x", "hf_vérysecret", "\x00"]
)
def test_a_token_with_a_wrong_character_is_refused_and_not_quoted(
    monkeypatch: pytest.MonkeyPatch, token: str
):
    with pytest.raises(InvalidSettings, match=r"^HF_TOKEN: .*copy it again") as caught:
        ModelSettings(HF_TOKEN=token)
    assert "secret" not in str(caught.value)


@given(st.sampled_from(["", " ", "\n", "\t\r\n"]), st.sampled_from(["", '"', "'"]))
def test_blanks_and_quotes_around_a_value_are_removed(blank: str, quote: str):
    def given(value: str) -> str:
        return f"{blank}{quote}{blank}{value}{blank}{quote}{blank}"

    settings = ModelSettings(
        asr_model=given("a/b"), HF_TOKEN=given("hf_x"), dtype=given("FLOAT32"), device=given("CPU")
    )
    assert (settings.asr_model, settings.token) == ("a/b", "hf_x")
    assert (settings.dtype, settings.device) == ("float32", "cpu")


@pytest.mark.parametrize("unset", ["", " ", "none", "None", "NULL", '""', "'none'"])
def test_none_and_null_leave_a_setting_at_its_default(monkeypatch: pytest.MonkeyPatch, unset: str):
    for name in ModelSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    names = set(ModelSettings.model_fields) - {"quantization", "hf_token", "cuda_visible_devices"}
    settings = ModelSettings(**dict.fromkeys(names, unset), HF_TOKEN=unset)
    assert settings.model_dump() == ModelSettings().model_dump() | {"hf_token": None}


def test_none_is_a_quantization():
    assert ModelSettings(quantization="None").quantization == "none"
    assert ModelSettings(quantization="null").quantization == "auto"


def test_a_limit_may_be_infinite():
    settings = ModelSettings(max_audio_s="inf", max_payload_mb="inf")
    assert settings.max_audio_s == float("inf") and settings.max_payload_mb > 10**12


@pytest.mark.parametrize(("visible", "device"), [("", "cpu"), ("-1", "cpu"), ("0", "auto")])
def test_hidden_gpus_are_not_looked_for(visible: str, device: str):
    assert ModelSettings(cuda_visible_devices=visible, device="auto").device == device


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
        ("MAX_AUDIO_S", "nan"),
        ("MAX_PAYLOAD_MB", "NaN"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str):
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSettings, match=rf"^{name}: .*\(got '{value}'\)$"):
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
