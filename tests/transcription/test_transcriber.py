"""What a request's parameters change of what is heard: real speech, in the reference format."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from paths import AUSTEN, MODELS, PHONE_CALL

from speech_endpoint.audio.decoding.decode import decode_audio
from speech_endpoint.config import InferenceConfig, ModelSettings
from speech_endpoint.errors import InvalidRequest
from speech_endpoint.transcription.transcriber import Transcriber, Transcription


@cache
def transcriber_of(model: str) -> Transcriber:
    return Transcriber(
        ModelSettings(
            asr_model=str(MODELS / model), dtype="float32", quantization="none", device="cpu"
        ),
        ".",
    )


def read(path: Path, from_s: float = 0.0, to_s: float = 300.0) -> np.ndarray:
    return decode_audio(path.read_bytes(), 16_000, 300)[int(from_s * 16_000) : int(to_s * 16_000)]


def heard(waveform: np.ndarray, **parameters: Any) -> Transcription:
    config, _ = InferenceConfig.from_parameters(parameters)
    return transcriber_of("whisper-base")(waveform, config)


def text_of(transcription: Transcription) -> str:
    return "".join(segment.text for segment in transcription.segments)


def test_a_closed_set_of_languages_corrects_what_is_detected(data: Path) -> None:
    """A second of German, in which French is heard."""
    german = read(data / "formats" / "multilingual.mp3", 52, 53)
    assert heard(german).language == "fr"
    assert heard(german, languages=["en", "de"]).language == "de"


def test_a_window_of_two_languages_is_decoded_in_parts_if_both_are_in_the_set(data: Path) -> None:
    both = read(data / "formats" / "multilingual.mp3", 20, 40)
    for languages, spoken in ((["de", "en", "fr"], {"de", "en"}), (["en"], {"en"})):
        found = heard(both, languages=languages)
        assert {segment.language for segment in found.segments} == spoken


def test_a_keyword_says_how_a_name_is_spelled() -> None:
    """A name of two spellings, which sound the same."""
    speech = read(PHONE_CALL, 12, 18)
    assert "Sheila" in text_of(heard(speech))
    assert "Sheyla" in text_of(heard(speech, keywords=["Sheyla"]))


def test_keywords_correct_names_that_the_model_does_not_know(data: Path) -> None:
    speech = read(data / "conversations" / "four_speakers_text.flac", 212.4, 221.2)
    without, aided = (
        text_of(heard(speech, keywords=keywords))
        for keywords in ([], ["Liddy", "Jamieson", "Zarathustra"])
    )
    assert "Liddy" not in without and "Jamieson" not in without
    assert "Liddy" in aided and "Jamieson" in aided and "Zarathustra" not in aided


@pytest.mark.parametrize("field", ["language", "languages"])
def test_a_model_of_english_alone_takes_english_alone(field: str) -> None:
    english = transcriber_of("whisper-tiny.en")
    assert english(read(AUSTEN), InferenceConfig(**{field: "en"})).language == "en"
    with pytest.raises(InvalidRequest, match=rf"parameters\.{field}: 'de' .* English only"):
        english.check(InferenceConfig(**{field: "de"}))


@pytest.mark.parametrize("field", ["language", "languages"])
def test_a_language_that_the_model_lacks_is_refused_by_its_field(field: str) -> None:
    """Cantonese came with large-v3."""
    with pytest.raises(InvalidRequest, match=rf"parameters\.{field}: .* does not know 'yue'"):
        transcriber_of("whisper-base").check(InferenceConfig(**{field: "yue"}))
