"""A form's fields: what they mean, and what is said of wrong ones."""

from __future__ import annotations

import pytest

from speech_endpoint.errors import InvalidRequest
from speech_endpoint.server.openai import fields
from speech_endpoint.server.openai.fields import AudioOptions, Fields, read_options
from speech_endpoint.server.settings import ServerSettings

pytestmark = pytest.mark.pure

SETTINGS = ServerSettings(diarization_model="a/b", asr_model="openai/whisper-base")
WITHOUT = ServerSettings(asr_model="openai/whisper-large-v3-turbo")


def read(*given: tuple[str, str], settings: ServerSettings = SETTINGS) -> AudioOptions:
    return read_options(given, settings)


def refusal(*given: tuple[str, str], settings: ServerSettings = SETTINGS) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        read(*given, settings=settings)
    return caught.value


VOICEPRINT = "vp1.0123abcd.AAAA"


def parameters(*given: tuple[str, str]) -> dict:
    return fields._parameters(Fields.of(given), None)


def test_nothing_but_a_file_is_enough() -> None:
    options = read()
    assert options.response_format == "json" and not options.stream and not options.warnings
    assert options.granularities == {"segment"} and options.config.diarize is False


@pytest.mark.parametrize("null", ["", "null", "None"])
def test_what_is_null_has_its_default(null: str) -> None:
    names = ("num_speakers", "max_speakers", "diarize", "stream", "response_format", "translate")
    assert read(*((name, null) for name in names)) == read()
    assert read(("language", "de"), ("language", null)).config.language is None


def test_a2_both_spellings_of_lists_and_objects_are_read() -> None:
    for name in ("timestamp_granularities", "timestamp_granularities[]"):
        assert read((name, "word"), (name, "segment")).granularities == {"word", "segment"}
    as_json = read(("chunking_strategy", '{"type": "server_vad", "threshold": 0.5}'))
    nested = read(("chunking_strategy[type]", "server_vad"), ("chunking_strategy[threshold]", "1"))
    assert len(as_json.warnings) == len(nested.warnings) == 1
    assert read(("chunking_strategy", "auto")).warnings == ()


def test_a3_the_last_of_two_counts_with_a_warning_and_booleans_are_spelled_in_six_ways() -> None:
    options = read(("language", "de"), ("language", "en"))
    assert options.config.language == "en" and "more than once" in options.warnings[0]
    for text, value in fields.BOOLEANS.items():
        assert read(("stream", text.upper())).stream is value


def test_a4_each_field_without_effect_is_named_once() -> None:
    options = read(
        ("user", "x"), ("frequency", "1"), ("vad_filter", "true"), ("include[]", "nonsense")
    )
    warned = " ".join(options.warnings)
    assert len(options.warnings) == 4
    assert all(name in warned for name in ("user", "frequency", "vad_filter", "nonsense"))


@pytest.mark.parametrize(
    ("name", "value", "param"),
    [
        ("response_format", "xml", "response_format"),
        ("stream", "perhaps", "stream"),
        ("timestamp_granularities[]", "letter", "timestamp_granularities"),
        ("chunking_strategy", "sometimes", "chunking_strategy"),
        ("chunking_strategy", '{"type": "server_vad", "threshold": 2}', "chunking_strategy"),
        (
            "chunking_strategy",
            f'{{"type": "server_vad", "threshold": 1{"0" * 400}}}',
            "chunking_strategy",
        ),
        ("chunking_strategy", "[" * 100_000, "chunking_strategy"),
        ("language", "klingon", "language"),
        ("keywords[]", "a<b", "keywords"),
        ("keywords[]", "a\nb", "keywords"),
        ("num_speakers", "0", "num_speakers"),
        ("diarize", "maybe", "diarize"),
        ("task", "sing", "task"),
        ("batch_size", "none at all", "batch_size"),
        ("known_speaker_names[]", "Anna", "known_speaker_references"),
        ("known_speaker_references[]", "data:", "known_speaker_references"),
        ("known_speaker_threshold", "2", "known_speaker_threshold"),
    ],
)
def test_a5_each_refusal_names_the_field_and_is_short(name: str, value: str, param: str) -> None:
    error = refusal((name, value))
    assert error.field == f"parameters.{param}" and len(error.message) < 400


@pytest.mark.parametrize("response_format", ["srt", "vtt", "rttm", "tsv"])
def test_subtitles_are_not_streamed(response_format: str) -> None:
    error = refusal(("stream", "true"), ("response_format", response_format))
    assert (error.field, error.code) == ("parameters.response_format", "unavailable")


def test_a12_diarized_json_without_a_model_names_the_setting() -> None:
    error = refusal(("response_format", "diarized_json"), settings=WITHOUT)
    assert error.field == "parameters.response_format" and "DIARIZATION_MODEL" in error.message
    by_channel = [("response_format", "diarized_json"), ("channels", "speakers")]
    assert read(*by_channel, settings=WITHOUT).config.channels == "speakers"


@pytest.mark.parametrize(
    ("given", "diarize"),
    [
        ([("model", "whisper-1")], False),
        ([("model", "gpt-4o-transcribe-diarize")], True),
        ([("model", "gpt-4o-transcribe-diarize"), ("diarize", "false")], False),
        ([("response_format", "diarized_json")], True),
        ([("response_format", "rttm")], True),
        ([("min_speaker_count", "2")], True),
        ([("diarization", "on")], True),
    ],
)
def test_a14_who_cannot_see_speakers_does_not_pay_for_them(given, diarize: bool) -> None:
    assert read(*given).config.diarize is diarize


def test_a14_a_diarizing_name_without_a_model_gets_text_and_a_warning() -> None:
    options = read(("model", "gpt-4o-transcribe-diarize"), settings=WITHOUT)
    assert options.config.diarize is False and "diarization" in options.warnings[0]


def test_a6_turbo_warns_of_translations() -> None:
    options = read_options([], WITHOUT, "translate")
    assert options.config.task == "translate" and "not trained" in options.warnings[0]
    assert read_options([], SETTINGS, "translate").warnings == ()


def test_keywords_hotwords_languages_and_temperature_become_parameters() -> None:
    given = [("keywords[]", "Zoë"), ("keywords", "Kiel"), ("hotwords", "a, b"), ("prompt", "p")]
    assert parameters(*given) == {"keywords": ["Zoë", "Kiel", "a", "b"], "prompt": "p"}
    given = [("languages[]", "de"), ("languages[]", "en"), ("temperature", "0.4")]
    assert parameters(*given) == {"languages": ["de", "en"], "temperature": "0.4"}
    error = refusal(("languages[]", "de"), ("language", "en"))
    assert error.field == "parameters.languages"


def test_aliases_mean_what_they_say() -> None:
    assert parameters(("translate", "true"))["task"] == "translate"
    assert parameters(("max_speaker_count", "3")) == {"max_speakers": "3"}
    assert read(("language", "fil")).config.language == "tl"


def test_speakers_keep_their_labels_if_asked_to() -> None:
    assert read().letters
    options = read(("speaker_labels", "pyannote"))
    assert not options.letters and options.config.speaker_labels
    assert read(("speaker_labels", "false")).config.speaker_labels is False


def test_k7_names_and_references_come_in_pairs_and_ask_for_speakers() -> None:
    known = [("known_speaker_names[]", " Anna "), ("known_speaker_references[]", VOICEPRINT)]
    options = read(*known, ("known_speaker_names", "Ben"), ("known_speaker_references", "UklG"))
    assert options.config.diarize and not options.warnings
    assert [(each.name, each.reference) for each in options.config.known_speakers] == [
        ("Anna", VOICEPRINT),
        ("Ben", "UklG"),
    ]
    assert "one reference for each name" in refusal(known[0]).message
    assert refusal(*known, ("diarize", "false")).field == "parameters.known_speakers"
    wrong = refusal(*known, ("known_speaker_names", "x" * 65), ("known_speaker_references", "U"))
    assert wrong.field == "parameters.known_speaker_names" and "entry 2" in wrong.message
