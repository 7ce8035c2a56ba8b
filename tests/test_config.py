"""A request's parameters and an endpoint's settings: what is allowed, and what errors say."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paths import REPOSITORY

from speech_endpoint.config import InferenceConfig, ModelSettings, resolve_model
from speech_endpoint.errors import InvalidRequest, InvalidSettings

pytestmark = [pytest.mark.pure, pytest.mark.core]


def configured(**parameters: Any) -> InferenceConfig:
    return InferenceConfig.from_parameters(parameters)[0]


def refused(parameters: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        InferenceConfig.from_parameters(parameters)
    return caught.value


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"task": "summarise"}, "invalid_value", "'transcribe' or 'translate' (got 'summarise')"),
    ({"batch_size": 0}, "invalid_value", "greater than or equal to 1 (got 0)"),
    ({"batch_size": "many"}, "invalid_type", "valid integer"),
    ({"assisted": "maybe"}, "invalid_type", "valid boolean"),
    ({"chunk_length_s": 60}, "invalid_value", "less than or equal to 30 (got 60)"),
    ({"sampling_rate": 8}, "invalid_value", "greater than or equal to 1000"),
    ({"language": "klingon"}, "invalid_value", "'klingon' is not a language of Whisper"),
    ({"language": 7}, "invalid_type", "valid string"),
    ({"num_speakers": "many"}, "invalid_type", "valid integer"),
    ({"num_speakers": 1.5}, "invalid_type", "valid integer"),
    ({"num_speakers": 4, "max_speakers": 3}, "invalid_value", "4 lies outside min_speakers: None"),
    ({"num_speakers": 1, "min_speakers": 2}, "invalid_value", "1 lies outside min_speakers: 2"),
    ({"min_speakers": 3, "max_speakers": 2}, "invalid_value", "3 is more than max_speakers: 2"),
    ({"max_speakers": 0}, "invalid_value", "greater than or equal to 1"),
    ({"return_timestamps": "letter"}, "invalid_value", "'segment' or 'word'"),
    ({"diarize": "perhaps"}, "invalid_type", "valid boolean"),
    ({"diarize": False, "channels": "speakers"}, "invalid_value", "contradicts channels"),
    ({"channels": "left"}, "invalid_value", "'mix' or 'speakers'"),
    ({"num_speakers": 2, "channels": "speakers"}, "invalid_value", "not with channels"),
    ({"min_speakers": 2, "channels": "speakers"}, "invalid_value", "not with channels"),
    ({"max_speakers": 2, "channels": "speakers"}, "invalid_value", "not with channels"),
    ({"prompt": ["a"]}, "invalid_type", "valid string"),
    ({"response_format": "docx"}, "invalid_value", "'json', 'text', 'srt', 'vtt' or 'rttm'"),
]


@pytest.mark.parametrize(("parameters", "code", "says"), WRONG)
def test_a_wrong_parameter_is_named(parameters: dict[str, Any], code: str, says: str):
    error, name = refused(parameters), next(iter(parameters))
    assert (error.field, error.code) == (f"parameters.{name}", code)
    assert str(error).startswith(f"parameters.{name}: ") and says in str(error)
    # Whatever the order in which they were given.
    assert str(refused(dict(reversed(parameters.items())))) == str(error)


def test_every_parameter_has_its_error_tested():
    assert {next(iter(parameters)) for parameters, *_ in WRONG} == set(InferenceConfig.model_fields)


def test_several_wrong_parameters_are_all_named():
    error = refused({"batch_size": 0, "chunk_length_s": 0, "language": "klingon"})
    assert error.field == "parameters.batch_size"
    assert [part.split(": ")[0] for part in str(error).split("; parameters.")] == [
        "parameters.batch_size",
        "chunk_length_s",
        "language",
    ]


@pytest.mark.parametrize(
    ("bounds", "wrong"),
    [
        ({"min_speakers": 4, "max_speakers": 2}, "min_speakers: 4 is more than max_speakers: 2; "),
        ({"min_speakers": 0, "max_speakers": 2}, "min_speakers: Input should be greater than"),
        ({"min_speakers": 4, "max_speakers": 0}, "max_speakers: Input should be greater than"),
    ],
)
def test_a_number_of_speakers_is_not_checked_against_wrong_limits(
    bounds: dict[str, int], wrong: str
):
    error = refused({"num_speakers": 3, **bounds})
    assert str(error).startswith(f"parameters.{wrong}")
    assert "num_speakers" not in str(error)


@pytest.mark.parametrize("parameters", [[1, 2], "batch_size=3", 7])
def test_parameters_that_are_no_object_are_refused(parameters: object):
    error = refused(parameters)
    assert (error.field, error.code) == ("parameters", "invalid_type")
    assert str(error).startswith("parameters: expected an object, got ")


def test_an_error_quotes_no_more_than_a_line_of_what_was_given():
    assert len(str(refused({"response_format": "x" * 10_000}))) < 300
    assert len(str(refused({"language": "x" * 10_000}))) < 300


def test_an_error_is_a_value_error_that_crosses_processes():
    error = pickle.loads(pickle.dumps(refused({"batch_size": 0})))
    assert isinstance(error, ValueError)
    assert error.field == "parameters.batch_size" and str(error).startswith("parameters.batch_size")


@given(
    st.dictionaries(
        st.sampled_from(sorted(InferenceConfig.model_fields)),
        st.none() | st.booleans() | st.integers(-2, 40) | st.sampled_from(["", "en", "speakers"]),
    )
)
def test_whatever_is_given_the_error_begins_with_a_parameter(parameters: dict[str, Any]):
    try:
        InferenceConfig.from_parameters(parameters)
    except InvalidRequest as caught:
        error = caught
    else:
        return
    assert error.field.removeprefix("parameters.") in parameters
    assert str(error).startswith(f"{error.field}: ")


def test_no_parameters_are_the_defaults():
    assert InferenceConfig.from_parameters(None) == (InferenceConfig(), [])


def test_an_unknown_parameter_is_a_warning():
    config, warnings = InferenceConfig.from_parameters({"colour": "red", "batch_size": 3})
    assert config.batch_size == 3
    assert warnings == ["parameters: unknown parameter 'colour' was ignored"]


@pytest.mark.parametrize("name", ["assisted", "diarize", "return_timestamps"])
@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("true", True),
        ("True", True),
        (True, True),
        ("false", False),
        ("FALSE", False),
        (False, False),
    ],
)
def test_booleans_of_a_query_mean_what_they_say(name: str, given: object, meant: bool):
    assert getattr(configured(**{name: given}), name) is meant


def test_numbers_of_a_query_are_understood():
    config = configured(batch_size="8", chunk_length_s="20.5", num_speakers="2")
    assert (config.batch_size, config.chunk_length_s, config.num_speakers) == (8, 20.5, 2)


@pytest.mark.parametrize("given", ["en", "english", " English ", "EN"])
def test_a_language_is_known_by_its_code_from_here_on(given: str):
    assert configured(language=given).language == "en"


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
def test_none_and_null_leave_a_setting_at_its_default(unset: str):
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
