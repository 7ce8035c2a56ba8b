"""Text as a screen shows it: how wide it is, what of it can be seen, where it may be cut."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

ELLIPSIS = "…"
ZERO_WIDTH_JOINER = "\u200d"
MAX_JOINED_COLUMNS = 8
"""Of emoji that are joined into one: no family has more than four."""
HANGUL = ((0x1100, 0x11FF), (0xAC00, 0xD7FF))
"""Full-width, but written with spaces between words."""
WITHOUT_SPACES = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF))
"""Thai and Lao, Burmese, Khmer: not full-width, and no spaces between words."""
NOT_AT_LINE_START = "ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ々ーๆ"
"""Small kana and marks that repeat or lengthen (JIS X 4051); punctuation is told by category."""


def columns(text: str) -> int:
    """Display width: a full-width character (UAX #11) takes two columns, a combining mark none."""
    return sum(map(_columns, text))


def is_full_width(text: str) -> bool:
    """Whether any of its characters is."""
    return not text.isascii() and any(unicodedata.east_asian_width(char) in "WF" for char in text)


def visible(text: str) -> str:
    """`text` without control characters, or "" where nothing of it can be seen.

    Line ends and other blanks become single spaces; half a surrogate pair, which no file can hold,
    becomes U+FFFD.
    """
    if text.isascii() and text.isprintable():
        return text
    clean = "".join(map(_visible, text))
    is_seen = any(unicodedata.category(char) not in ("Cf", "Zs") for char in clean)
    return clean if is_seen else ""


def one_line(text: str) -> str:
    """What can be seen of `text`, without blanks around it or more than one between."""
    return " ".join(visible(text).split())


def shortened(text: str, max_columns: int) -> str:
    """`text`, cut with an ellipsis where it is wider."""
    if columns(text) <= max_columns:
        return text
    kept = ""
    for cluster in clusters(text):
        if columns(kept + cluster) > max_columns - columns(ELLIPSIS):
            break
        kept += cluster
    return kept.rstrip() + ELLIPSIS


def clusters(text: str) -> Iterator[str]:
    """What a reader takes for one character: with its combining marks, joined emoji whole."""
    cluster = ""
    for char in text:
        is_joined = cluster.endswith(ZERO_WIDTH_JOINER) and columns(cluster) < MAX_JOINED_COLUMNS
        if cluster and _columns(char) and not is_joined and not _is_mark(char):
            yield cluster
            cluster = ""
        cluster += char
    if cluster:
        yield cluster


def may_break(before: str, after: str) -> bool:
    """Whether a line may end between two texts with no blank between them.

    It may where the script has no spaces, but neither before closing punctuation nor after opening.
    """
    last, first = before[-1], after[0]
    if not (_without_spaces(last) or _without_spaces(first)) or not _columns(first):
        return False
    if unicodedata.category(last) in ("Ps", "Pi") or first in NOT_AT_LINE_START:
        return False
    category = unicodedata.category(first)
    return category in ("Ps", "Pi") or not (category.startswith("P") or _is_mark(first))


def without_closing_marks(text: str) -> str:
    """`text` up to the quotation marks and brackets at its end."""
    while text and (text[-1] in "\"'" or unicodedata.category(text[-1]) in ("Pe", "Pf")):
        text = text[:-1]
    return text


def _columns(char: str) -> int:
    if char.isascii():
        return 1
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _is_mark(char: str) -> bool:
    return unicodedata.category(char).startswith("M")


def _visible(char: str) -> str:
    if char.isspace():
        return " "
    category = unicodedata.category(char)
    return "\ufffd" if category == "Cs" else "" if category == "Cc" else char


def _without_spaces(char: str) -> bool:
    point = ord(char)
    if any(low <= point <= high for low, high in WITHOUT_SPACES):
        return True
    return is_full_width(char) and not any(low <= point <= high for low, high in HANGUL)
