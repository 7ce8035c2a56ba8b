"""A request's parameters: what is allowed, and what errors and warnings say."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_endpoint.errors import MAX_WARNINGS, InvalidRequest
from speech_endpoint.parameters import (
    MAX_BATCH_SIZE,
    MAX_NAMED_UNKNOWN,
    MIN_TEMPERATURE,
    InferenceConfig,
)

pytestmark = [pytest.mark.pure, pytest.mark.core]


def configured(**parameters: Any) -> InferenceConfig:
    return InferenceConfig.from_parameters(parameters)[0]


def refused(parameters: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        InferenceConfig.from_parameters(parameters)
    return caught.value


def nested_list(depth: int) -> Any:
    value: Any = "en"
    for _ in range(depth):
        value = [value]
    return value


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"task": "summarise"}, "invalid_value", "'transcribe' or 'translate' (got 'summarise')"),
    ({"batch_size": 0}, "invalid_value", "greater than or equal to 1 (got 0)"),
    ({"batch_size": "many"}, "invalid_type", "valid integer"),
    ({"assisted": "maybe"}, "invalid_type", "valid boolean"),
    ({"chunk_length_s": 60}, "invalid_value", "less than or equal to 30 (got 60)"),
    ({"chunk_length_s": "nan"}, "invalid_value", "less than or equal to 30 (got 'nan')"),
    ({"chunk_length_s": "1e400"}, "invalid_value", "less than or equal to 30 (got '1e400')"),
    ({"chunk_length_s": True}, "invalid_type", "should be a number (got True)"),
    ({"sampling_rate": 8}, "invalid_value", "greater than or equal to 1000"),
    ({"sampling_rate": False}, "invalid_type", "should be a number (got False)"),
    ({"audio_track": -1}, "invalid_value", "greater than or equal to 0 (got -1)"),
    ({"audio_track": 64}, "invalid_value", "less than or equal to 63 (got 64)"),
    ({"language": "klingon"}, "invalid_value", "'klingon' is not a language of Whisper"),
    ({"language": 7}, "invalid_type", "valid string"),
    ({"language": nested_list(1_010)}, "invalid_type", "valid string (got a list of length 1)"),
    ({"language": "en\n2026-01-01 ERROR root: all is lost"}, "invalid_value", "'en\\n2026"),
    ({"language": "\ud800"}, "invalid_value", "'\\ud800' is not a language"),
    ({"languages": ["de", "klingon"]}, "invalid_value", "'klingon' is not a language of Whisper"),
    ({"languages": "de, auto"}, "invalid_value", "'auto' names none; leave languages out"),
    ({"languages": []}, "invalid_value", "give 1 to 100 languages (got 0)"),
    ({"languages": ["de"] * 101}, "invalid_value", "give 1 to 100 languages (got 101)"),
    ({"languages": {"de": 1}}, "invalid_type", "a list of strings, or one string (got an object"),
    ({"languages": ["de", 7]}, "invalid_type", "Each should be a string, not 7"),
    ({"languages": ["de"], "language": "en"}, "invalid_value", "not with language"),
    ({"keywords": ["Ann", "<|endoftext|>"]}, "invalid_value", "'<|endoftext|>' holds <, > or"),
    ({"keywords": "Ann\nBob"}, "invalid_value", "'Ann\\nBob' holds <, > or a line break"),
    ({"keywords": [f"n{i}" for i in range(101)]}, "invalid_value", "at most 100 are allowed (got"),
    ({"keywords": ["Bob", "x" * 101]}, "invalid_value", "at most 100 characters each are allowed"),
    ({"keywords": ["\ud800"]}, "invalid_value", "character 1 is half of a surrogate pair"),
    ({"keywords": 3}, "invalid_type", "a list of strings, or one string (got 3)"),
    ({"temperature": -0.1}, "invalid_value", "greater than or equal to 0 (got -0.1)"),
    ({"temperature": 1.01}, "invalid_value", "less than or equal to 1 (got 1.01)"),
    ({"temperature": "nan"}, "invalid_value", "(got 'nan')"),
    ({"temperature": "hot"}, "invalid_type", "valid number"),
    ({"temperature": True}, "invalid_type", "should be a number (got True)"),
    ({"num_speakers": "many"}, "invalid_type", "valid integer"),
    ({"num_speakers": 1.5}, "invalid_type", "valid integer"),
    ({"num_speakers": 4, "max_speakers": 3}, "invalid_value", "4 lies outside min_speakers: None"),
    ({"num_speakers": 1, "min_speakers": 2}, "invalid_value", "1 lies outside min_speakers: 2"),
    ({"min_speakers": 3, "max_speakers": 2}, "invalid_value", "3 is more than max_speakers: 2"),
    ({"max_speakers": 0}, "invalid_value", "greater than or equal to 1"),
    ({"max_speakers": 10**30}, "invalid_value", "less than or equal to 100"),
    ({"num_speakers": True}, "invalid_type", "should be a number (got True)"),
    ({"return_timestamps": "letter"}, "invalid_value", "'segment' or 'word'"),
    ({"diarize": "perhaps"}, "invalid_type", "valid boolean"),
    ({"diarize": False, "channels": "speakers"}, "invalid_value", "contradicts channels"),
    ({"channels": "left"}, "invalid_value", "'mix' or 'speakers'"),
    ({"num_speakers": 2, "channels": "speakers"}, "invalid_value", "not with channels"),
    ({"min_speakers": 2, "channels": "speakers"}, "invalid_value", "not with channels"),
    ({"max_speakers": 2, "channels": "speakers"}, "invalid_value", "not with channels"),
    ({"known_speakers": "Anna"}, "invalid_value", "expected a list of objects of name and ref"),
    ({"known_speakers": [{"name": "Anna"}]}, "invalid_value", "entry 1: expected an object of"),
    ({"known_speaker_threshold": 1.1}, "invalid_value", "less than or equal to 1 (got 1.1)"),
    ({"known_speaker_threshold": True}, "invalid_type", "should be a number (got True)"),
    ({"prompt": ["a"]}, "invalid_type", "valid string"),
    ({"prompt": "a \ud800"}, "invalid_value", "character 3 is half of a surrogate pair"),
    ({"response_format": "docx"}, "invalid_value", "'json', 'text', 'srt', 'vtt' or 'rttm'"),
    ({"response_format": "verbose_json"}, "invalid_value", "'vtt' or 'rttm' (got 'verbose_json')"),
    ({"max_line_chars": 19}, "invalid_value", "greater than or equal to 20 (got 19)"),
    ({"max_line_chars": 201}, "invalid_value", "less than or equal to 200 (got 201)"),
    ({"max_line_chars": 42.5}, "invalid_type", "valid integer"),
    ({"max_line_chars": True}, "invalid_type", "should be a number (got True)"),
    ({"max_cue_s": 0.5}, "invalid_value", "greater than or equal to 1 (got 0.5)"),
    ({"max_cue_s": "inf"}, "invalid_value", "less than or equal to 30 (got 'inf')"),
    ({"max_cue_s": "nan"}, "invalid_value", "than or equal to"),
    ({"speaker_labels": "some"}, "invalid_type", "valid boolean"),
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


def test_a_number_of_five_thousand_digits_is_refused_by_its_field():
    for name in ("num_speakers", "chunk_length_s", "language", "prompt", "task", "diarize"):
        error = refused({name: 10**5_000})
        assert error.field == f"parameters.{name}"
        assert str(error).endswith("(got an integer of very many digits)")
    assert configured(batch_size=10**5_000).batch_size == MAX_BATCH_SIZE


def test_an_error_quotes_no_more_than_a_line_of_what_was_given():
    assert len(str(refused({"response_format": "x" * 10_000}))) < 300
    assert len(str(refused({"language": "x" * 10_000}))) < 300


def test_an_error_is_a_value_error_that_crosses_processes():
    error = pickle.loads(pickle.dumps(refused({"batch_size": 0})))
    assert isinstance(error, ValueError)
    assert error.field == "parameters.batch_size" and str(error).startswith("parameters.batch_size")


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(0, 40).map(lambda n: 10**n)
    | st.floats()
    | st.text(st.characters(exclude_categories=()))
    | st.sampled_from(["en", "true", "nan", "1e400", "word", "speakers", "\ud800", "\x1b[2J"]),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=8,
)


@given(name=st.sampled_from(sorted(InferenceConfig.model_fields)), value=JSON_VALUES)
def test_whatever_a_value_is_it_is_taken_or_refused_in_a_line_that_names_the_field(
    name: str, value: object
):
    try:
        config = InferenceConfig.from_parameters({name: value})[0]
    except InvalidRequest as caught:
        error = caught
    else:
        assert InferenceConfig.model_validate_json(config.model_dump_json()) == config
        return
    assert error.field == f"parameters.{name}"
    assert len(str(error)) < 250 and str(error).isprintable() and str(error).encode()


@given(st.dictionaries(st.text(st.characters(exclude_categories=())) | st.integers(), JSON_VALUES))
def test_whatever_the_names_are_the_warnings_are_few_short_and_printable(parameters: dict):
    unknown = {
        name: v for name, v in parameters.items() if name not in InferenceConfig.model_fields
    }
    _, warnings = InferenceConfig.from_parameters(unknown)
    assert len(warnings) == min(len(unknown), MAX_NAMED_UNKNOWN + 1)
    assert all(len(w) <= 120 and w.isprintable() and w.encode() for w in warnings)


def test_a_hundred_thousand_unknown_names_are_counted():
    parameters = {f"name_{n}_{'x' * 200}": 1 for n in range(100_000)}
    _, warnings = InferenceConfig.from_parameters(parameters)
    assert warnings[-1] == "parameters: unknown parameters: 99,984 more were ignored"
    assert len(warnings) < MAX_WARNINGS and sum(map(len, warnings)) < 2_500


@pytest.mark.parametrize("name", sorted(InferenceConfig.model_fields))
@pytest.mark.parametrize("value", ["", " ", "null", "None", None])
def test_what_a_form_leaves_empty_has_its_default(name: str, value: str | None):
    assert configured(**{name: value}) == InferenceConfig()


@pytest.mark.parametrize("given", [10**9, 10**30, "1" + "0" * 30])
def test_any_batch_size_is_served(given: object):
    assert configured(batch_size=given).batch_size == MAX_BATCH_SIZE


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
        (1, True),
        ("0", False),
        ("on", True),
    ],
)
def test_booleans_of_a_query_mean_what_they_say(name: str, given: object, meant: bool):
    assert getattr(configured(**{name: given}), name) is meant


def test_numbers_of_a_query_are_understood():
    config = configured(batch_size="8", chunk_length_s="20.5", num_speakers="2")
    assert (config.batch_size, config.chunk_length_s, config.num_speakers) == (8, 20.5, 2)


@pytest.mark.parametrize("given", [["de-CH", "English", "de"], "de-CH, English,,de", "German,en"])
def test_languages_are_a_list_or_text_with_commas_by_any_name_each_once(given: object):
    assert configured(languages=given).languages == ("de", "en")
    assert configured(languages=given, language="auto").languages == ("de", "en")


def test_keywords_are_a_list_or_text_with_commas_and_each_counts_once():
    found = configured(keywords=[" Zoë ", "", "St. Ives, Kent", "Zoë "])
    assert found.keywords == ("Zoë", "St. Ives, Kent")
    assert configured(keywords="Zoë,  Ann , ").keywords == ("Zoë", "Ann")
    assert configured(keywords=["Zoë"] * 1_000).keywords == ("Zoë",)


@pytest.mark.parametrize(
    ("given", "meant"),
    [(0, 0.0), ("0", 0.0), ("0.4", 0.4), (1, 1.0), (1e-45, MIN_TEMPERATURE)],
)
def test_any_temperature_from_0_to_1_is_served(given: object, meant: float):
    assert configured(temperature=given).temperature == meant
