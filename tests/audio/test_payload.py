"""The bytes of a request's audio, however they were wrapped."""

from __future__ import annotations

import base64
import contextlib
import textwrap
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_endpoint.audio.payload import payload_bytes
from speech_endpoint.errors import InvalidRequest

pytestmark = pytest.mark.pure

MAX_BYTES = 2**20


@pytest.mark.parametrize(
    "write",
    [
        lambda text: text,
        lambda text: text.replace("+", "-").replace("/", "_"),
        lambda text: text.rstrip("="),
        lambda text: "\n".join(textwrap.wrap(text, 76)),
        lambda text: f" data:audio/flac;base64,{text}",
        lambda text: base64.b64decode(text),
        lambda text: bytearray(base64.b64decode(text)),
    ],
    ids=["standard", "url-safe", "unpadded", "lines", "data-url", "bytes", "bytearray"],
)
@pytest.mark.parametrize("payload", [b"\xfb\xef\xbe~", bytes(range(256)) * 3])
def test_a_payload_comes_as_bytes_or_in_any_form_of_base64(
    payload: bytes, write: Callable[[str], object]
) -> None:
    assert payload_bytes(write(base64.b64encode(payload).decode()), MAX_BYTES) == payload


@pytest.mark.parametrize(
    ("inputs", "code", "message"),
    [
        (b"", "missing", "inputs: empty; give the bytes of an audio file"),
        ("", "missing", "inputs: empty; give the bytes of an audio file"),
        ("data:audio/wav;base64,", "missing", "inputs: empty; give the bytes of an audio file"),
        ("this is not base64!", "invalid_value", "inputs: the text is not valid base64"),
        ("§", "invalid_value", "inputs: the text is not valid base64"),
        (17, "invalid_type", "inputs: expected base64 text or bytes of an audio file, got int"),
        (["a"], "invalid_type", "inputs: expected base64 text or bytes of an audio file, got list"),
        (
            bytes(MAX_BYTES + 1),
            "too_large",
            "inputs: 1,048,577 bytes of audio; at most 1,048,576 are allowed",
        ),
        (
            "A" * (2 * MAX_BYTES),
            "too_large",
            "inputs: 2,097,152 characters of base64; at most 1,048,576 bytes of audio are allowed",
        ),
    ],
)
def test_inputs_that_hold_no_payload(inputs: object, code: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        payload_bytes(inputs, MAX_BYTES)
    assert str(caught.value).startswith(message)
    assert (caught.value.field, caught.value.code) == ("inputs", code)


@given(st.binary(min_size=1, max_size=300), st.integers(1, 80))
def test_a_plus_that_a_form_made_a_blank_is_a_plus_again(payload: bytes, width: int) -> None:
    text = base64.b64encode(payload).decode().replace("+", " ")
    # As a form sends it: what would be trimmed at its ends is no blank of base64.
    if text == text.strip():
        assert payload_bytes(text, MAX_BYTES) == payload


@given(st.text(max_size=200))
def test_any_text_is_a_payload_or_an_error_of_inputs(text: str) -> None:
    with contextlib.suppress(InvalidRequest):
        assert payload_bytes(text, MAX_BYTES)


def test_a_long_run_of_blanks_is_searched_once() -> None:
    """From each of its blanks anew it would take days."""
    assert len(payload_bytes(f"QUFB{' ' * 8_000_000}QUFB", 2**24)) == 6_000_006


def test_base64_that_is_mostly_blanks_takes_no_list_of_its_parts() -> None:
    import tracemalloc

    text = "QQ " * 100_000
    tracemalloc.start()
    payload_bytes(text, MAX_BYTES)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6 * len(text)
