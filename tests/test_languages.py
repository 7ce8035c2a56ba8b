"""The names by which callers know a language."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_endpoint.languages import language_code

pytestmark = [pytest.mark.pure, pytest.mark.core]

NAMES = {
    "en": ["en", "english", " English ", "EN", "en-US", "en_GB.UTF-8", "en-US-u-ca-gregory"],
    "zh": ["zh", "zh-Hans", "zh-Hant-TW", "zh_CN", "cmn", "cmn-Hans-CN", "mandarin", "Chinese"],
    "yue": ["yue", "cantonese", "yue-HK", "zh-yue", "zh-yue-HK"],
    "pt": ["pt_BR", "pt-PT"],
    "es": ["es-419", "castilian"],
    "no": ["no", "nb", "nb-NO", "Bokmål", "norwegian"],
    "nn": ["nn-NO", "nynorsk"],
    "he": ["iw", "he-IL"],
    "id": ["in", "id"],
    "jw": ["jv", "jw", "javanese"],
    "tl": ["fil", "fil-PH", "tl", "filipino"],
    "sr": ["sr-Latn-RS"],
    "ca": ["ca_ES@valencia", "valencian"],
    "ht": ["haitian creole", "haitian"],
    None: ["auto", "AUTO", "", "  ", "null", "none"],
}


@pytest.mark.parametrize(
    ("code", "name"), [(code, name) for code, names in NAMES.items() for name in names]
)
def test_a_language_is_known_by_its_names(code: str | None, name: str) -> None:
    assert language_code(name) == code


@pytest.mark.parametrize(
    "name",
    ["klingon", "x-klingon", "english-ish!", "en-", "-en", "en\nzh", "Language.EN", "e", "12"],
)
def test_what_is_no_language_is_refused_with_advice_that_works(name: str) -> None:
    with pytest.raises(ValueError, match=r"is not a language of Whisper; .*'auto' to detect it"):
        language_code(name)


def test_a_locale_of_a_million_parts_is_read_as_quickly_as_any() -> None:
    variants = "-a" * 1_000_000
    assert language_code("de" + variants) == "de"
    with pytest.raises(ValueError, match="is not a language of Whisper"):
        language_code("xx" + variants)


@given(st.text(st.characters(exclude_categories=())))
def test_whatever_is_given_the_refusal_is_a_short_line(name: str) -> None:
    try:
        code = language_code(name)
    except ValueError as caught:
        error = str(caught)
        assert len(error) < 200 and error.isprintable()
    else:
        assert code is None or 2 <= len(code) <= 3
