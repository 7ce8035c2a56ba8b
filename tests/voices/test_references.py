"""`known_speakers` of a request: what is a name, and what a reference."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_endpoint.errors import InvalidRequest
from speech_endpoint.parameters import InferenceConfig

pytestmark = pytest.mark.pure

SECRET = "c2VjcmV0IHZvaWNl"


def refusal(known: Any, **others: Any) -> str:
    with pytest.raises(InvalidRequest) as caught:
        InferenceConfig.from_parameters({"known_speakers": known, **others})
    assert caught.value.field == "parameters.known_speakers"
    return str(caught.value)


def entry(name: Any = "Anna", reference: Any = SECRET) -> dict[str, Any]:
    return {"name": name, "reference": reference}


def test_names_lose_the_blanks_around_them_and_may_come_again():
    known = [entry(" Anna  "), entry("Anna"), entry("Ben")]
    config, warnings = InferenceConfig.from_parameters({"known_speakers": known})
    assert [each.name for each in config.known_speakers] == ["Anna", "Anna", "Ben"]
    assert not warnings


@pytest.mark.parametrize(
    ("known", "says"),
    [
        ([entry("")], "entry 1: name: 1 to 64 characters are allowed (got 0)"),
        ([entry(), entry("x" * 65)], "entry 2: name: 1 to 64 characters are allowed (got 65)"),
        ([entry("A\nB")], "entry 1: name: 'A\\nB' holds a character that cannot be printed"),
        ([entry(7)], "entry 1: name: expected text (got 7)"),
        ([entry(reference=b"RIFF")], "entry 1: reference: expected a voiceprint"),
        ([entry(reference=" ")], "entry 1: reference: empty"),
        ([entry(reference="é")], "entry 1: reference: expected a voiceprint"),
        ([{"name": "Anna"}], "entry 1: expected an object of name and reference"),
        (["Anna"], "entry 1: expected an object of name and reference"),
        ([entry()] * 65, "at most 64 are allowed (got 65)"),
    ],
)
def test_a_wrong_entry_is_named(known: list, says: str):
    assert says in refusal(known)


def test_who_asks_for_no_speakers_cannot_have_names():
    assert "not with diarize: false" in refusal([entry()], diarize=False)
    assert "not with channels" in refusal([entry()], channels="speakers")


@given(st.sampled_from([entry(""), entry(reference=SECRET + "é"), {"reference": SECRET}, SECRET]))
def test_k8_no_error_quotes_a_reference(wrong: object):
    assert SECRET not in refusal([wrong]) and SECRET not in refusal(SECRET)


def test_k8_a_request_that_is_printed_does_not_tell_its_references():
    config, _ = InferenceConfig.from_parameters({"known_speakers": [entry()]})
    assert SECRET not in repr(config) and SECRET not in str(config)
