"""Text as a screen shows it."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_endpoint.output.display_text import (
    clusters,
    columns,
    may_break,
    one_line,
    shortened,
    visible,
)

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("naïve", 5),
        ("nai\u0308ve", 5),
        ("字幕", 4),
        ("ﾃｽﾄ", 3),
        ("กี่", 1),
        ("नमस्ते", 4),
        ("a\u200bb", 2),
    ],
)
def test_text_is_as_wide_as_it_is_drawn(text: str, width: int):
    assert columns(text) == width


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("今天", "天气", True),
        ("天气", "，", False),
        ("（", "今天", False),
        ("今天", "（", True),
        ("コーヒ", "ー", False),
        ("ภาษา", "ไทย", True),
        ("twenty", "-five", False),
        ("안녕", "하세요", False),
        ("我叫", "Anna", True),
    ],
)
def test_a_line_may_end_where_a_script_has_no_spaces(before: str, after: str, expected: bool):
    assert may_break(before, after) is expected


@given(st.text())
def test_clusters_join_to_the_text_and_none_begins_with_a_combining_mark(text: str):
    found = list(clusters(text))
    assert "".join(found) == text
    assert not any(unicodedata.category(cluster[0])[0] == "M" for cluster in found[1:])


@given(st.text(), st.integers(1, 50))
def test_shortened_text_fits(text: str, width: int):
    cut = shortened(text, width)
    assert columns(cut) <= width
    assert cut == text or text.startswith(cut.removesuffix("…"))


@given(st.text(st.characters(exclude_categories=())))
def test_what_is_visible_is_one_line_that_a_file_can_hold(text: str):
    line = one_line(text)
    assert line == line.strip() and len(line.splitlines()) <= 1
    line.encode()


def test_what_nobody_sees_is_no_text():
    assert visible("\u200b\n\x00\u2028") == ""
    assert visible("a\u200db") == "a\u200db"
