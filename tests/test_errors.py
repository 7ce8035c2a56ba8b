"""What callers read, whatever it quotes."""

from __future__ import annotations

import pytest

from speech_endpoint.errors import MAX_WARNINGS, first_warnings, quoted

pytestmark = pytest.mark.pure


def test_quoting_cuts_what_is_long_and_escapes_what_a_terminal_obeys():
    assert quoted("a\x1b[2J\n\u202e") == r"'a\x1b[2J\n\u202e'"
    assert quoted("x" * 10**6, 20) == "'" + "x" * 18 + "…"
    assert quoted(10**5_000) == "an integer of very many digits"
    assert quoted([["en"]]) == "a list of length 1" and quoted({}) == "an object of length 0"
    assert quoted(b"RIFF") == "b'RIFF'" and quoted(object()) == "a value of type object"


def test_warnings_beyond_the_limit_are_counted():
    assert first_warnings(["a"] * MAX_WARNINGS) == ("a",) * MAX_WARNINGS
    many = first_warnings([f"channel {n}: \n" for n in range(1_000)])
    assert many[:2] == (r"channel 0: \n", r"channel 1: \n") and len(many) == MAX_WARNINGS
    assert many[-1] == "… and 981 more warnings"
