"""Where words begin and sentences end in a text, whatever its script. Pure.

The text decides, not the language that a window was found to be in: English text holds Chinese
names, and Chinese text holds English ones.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right

# openai/whisper tokenizer.py: punctuation that belongs to the word after it.
PREPENDED_PUNCTUATION = "\"'“¿([{-"
SENTENCE_ENDS = (".", "?", "!", "…", "。", "？", "！", "।", "؟", "။", "។", "።")
CLAUSE_ENDS = (",", ";", ":", "—", "،", "，", "、", "；", "：")
CLOSING_MARKS = " \"'”’»)]」』"

# Scripts written without spaces between words, by Unicode's blocks: (first, last). Tibetan, whose
# syllables a dot parts, is not among them.
_UNSPACED_BLOCKS = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19DF),  # Tai Le, New Tai Lue
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x2E80, 0x2FDF),  # CJK radicals
    (0x3005, 0x312F),  # kana, Bopomofo
    (0x31A0, 0x31FF),  # their extensions
    (0x3400, 0x4DBF),  # CJK ideographs, extension A
    (0x4E00, 0xA4CF),  # CJK ideographs, Yi
    (0xA9E0, 0xA9FF),  # Myanmar, extended
    (0xAA60, 0xAADF),  # Myanmar, extended; Tai Viet
    (0xF900, 0xFAFF),  # CJK compatibility ideographs
    (0xFF66, 0xFF9F),  # half-width kana
    (0x1AFF0, 0x1B16F),  # kana, extended
    (0x20000, 0x3FFFF),  # CJK ideographs, later extensions
)
_BLOCK_STARTS = [first for first, _ in _UNSPACED_BLOCKS]
_TSHEG = "་"
"""The dot between Tibetan syllables."""

# Letters that are read with the one before them, though Unicode has them begin a character: Thai
# and Lao vowels, small kana. Marks and modifier letters (ー, 々, ๆ) are known by their category.
_DEPENDENT_LETTERS = frozenset(
    "ะาำๅฯະາຳຽぁぃぅぇぉっゃゅょゎゕゖァィゥェォッャュョヮヵヶㇰㇱㇲㇳㇴㇵㇶㇷㇸㇹㇺㇻㇼㇽㇾㇿｧｨｩｪｫｬｭｮｯ"
)
# Unicode's Logical_Order_Exception: vowels written before the consonant that they follow.
_LEADING_VOWELS = frozenset("เแโใไເແໂໃໄꪵꪶꪹꪻꪼ")
_ZERO_WIDTH_NON_JOINER, _ZERO_WIDTH_JOINER = "\u200c", "\u200d"
_VIRAMA_CLASS = 9
"""The combining class of what suppresses a vowel, and so joins the next consonant."""
_MYANMAR_ASAT = "\u103a"
"""Of that class too, but it ends a syllable: the consonant under it belongs to what is before."""
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_REGIONAL_INDICATORS = range(0x1F1E6, 0x1F200)


def _listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Abbreviations that something always follows, so that they end no sentence. What is a word as well
# (German "am.", Swedish "det.", "hon.") is not listed; single letters need not be.
_LEADING_ABBREVIATIONS = _listed(
    # English, and what others share with it
    "mr mrs ms messrs dr prof st mt ft rev fr gov sen rep pres gen col capt cpt lt sgt cpl cmdr"
    " supt vs fig figs vol pp dept univ approx cf viz i.e e.g ph"
    # German
    " hr frl nr str bzw ca evtl ggf vgl inkl exkl zzgl bspw sog z.b d.h u.a s.o o.ä i.d.r"
    # French, Spanish, Portuguese, Italian, Dutch, Polish, Scandinavian
    " mme mlle mgr sr sra srta dra p.ej sig dott dhr mevr mw drs ul kl f.eks t.ex"
)
# Those that may also end one: the word after them tells.
_ABBREVIATIONS = _listed(
    "etc usw uvm jr snr inc ltd corp bros ph.d jan feb aug sept oct nov dec ave blvd"
)
_NUMBER_SIGNS = frozenset({"no", "nos"})
"""Abbreviations that are words too: a number after them tells."""
# Words that are capitalised at the beginning of a sentence only, and common there (Kiss and Strunk
# 2006, "Unsupervised Multilingual Sentence Boundary Detection": frequent sentence starters).
_SENTENCE_STARTERS = _listed(
    "the this that these those there it he she we they you i and but so or if in on at as what when"
    " where who why how is are was do did does my your our his her their then now well yes no not"
    " der die das es er sie ich wir und aber le la les il elle on nous vous ils et mais el los las"
    " y pero"
)
_MAX_ORDINAL_DIGITS = 2
"""German and others write ordinals with a full stop; longer numbers are years and amounts."""


def letters(text: str) -> str:
    """A text without blanks, punctuation and upper case."""
    return re.sub(r"\W", "", text.casefold())


def word_starts(text: str) -> set[int]:
    """Where words begin: indices of characters, 0 among them unless the text is empty.

    A word begins with the space before it. Scripts without spaces are cut between characters as a
    reader sees them, so that no word begins with what belongs to the character before it. Names and
    numbers of other scripts within them stay whole, and punctuation stays where it belongs.
    """
    starts: list[int] = []
    for n in range(len(text)):
        is_start = n == 0 or _begins_word(text, n)
        if is_start and not (starts and _is_opening(text[starts[-1] : n])):
            starts.append(n)
    return set(starts)


def _is_opening(text: str) -> bool:
    """Whether it is nothing but punctuation that belongs to what comes after it."""
    stripped = text.strip()
    return stripped != "" and all(
        character in PREPENDED_PUNCTUATION or unicodedata.category(character) in ("Ps", "Pi")
        for character in stripped
    )


def _begins_word(text: str, n: int) -> bool:
    """Whether a word may begin with the character at `n`, which is not the first."""
    before, character = text[n - 1], text[n]
    if character.isspace():
        rest = text[n:].lstrip()
        return not before.isspace() and rest != "" and not _is_dependent(rest[0])
    if before.isspace() or _continues_character(text, n) or not _is_cut(text, n):
        return False
    is_closing = unicodedata.category(character) in ("Pc", "Pd", "Pe", "Pf", "Po")
    return not is_closing and unicodedata.category(before) not in ("Ps", "Pi")


def _is_cut(text: str, n: int) -> bool:
    """Whether scripts without spaces meet one another or others at `n`, punctuation aside."""
    at = n - 1
    while at > 0 and unicodedata.category(text[at])[0] == "P" and text[at] != _TSHEG:
        at -= 1
    before, character = text[at], text[n]
    is_number = before.isdigit() and character.isdigit()
    is_apart = at < n - 1 and unicodedata.east_asian_width(text[n - 1]) in "WF"
    return (
        _is_unspaced(before)
        or _is_unspaced(character)
        or before == _TSHEG
        or (is_apart and not is_number)
    )


def _is_unspaced(character: str) -> bool:
    """Whether it is a letter or mark of a script without spaces. Digits are no letters."""
    n = bisect_right(_BLOCK_STARTS, ord(character))
    in_block = n > 0 and ord(character) <= _UNSPACED_BLOCKS[n - 1][1]
    return in_block and unicodedata.category(character) != "Nd"


def _is_dependent(character: str) -> bool:
    """Whether it belongs to the character before it, whatever that is."""
    return (
        unicodedata.category(character)[0] == "M"
        or character in (_ZERO_WIDTH_JOINER, _ZERO_WIDTH_NON_JOINER)
        or character in _DEPENDENT_LETTERS
        or (unicodedata.category(character) == "Lm" and _is_unspaced(character))
        or ord(character) in _SKIN_TONES
    )


def _continues_character(text: str, n: int) -> bool:
    """Whether the character at `n` is one with what is before it, to a reader.

    Unicode's grapheme clusters (Standard Annex 29), and consonants that share a syllable.
    """
    before, character = text[n - 1], text[n]
    is_joined = before in (_ZERO_WIDTH_JOINER, *_LEADING_VOWELS) or (
        unicodedata.combining(before) == _VIRAMA_CLASS and before != _MYANMAR_ASAT
    )
    return (
        is_joined
        or _is_dependent(character)
        or text[n + 1 : n + 2] == _MYANMAR_ASAT
        or (ord(before) in _REGIONAL_INDICATORS and ord(character) in _REGIONAL_INDICATORS)
    )


def ends_sentence(text: str, following: str | None = None) -> bool:
    """Whether a word's punctuation ends a sentence, within quotation marks or brackets or not.

    Abbreviations ("Mr."), initials ("J.") and ordinals ("3.") end none. One that may end a sentence
    as well ("p.m.") does so before a word that sentences begin with.

    Args:
        text: the word.
        following: the word after it; None where it is unknown, and abbreviations end nothing.
    """
    core = text.rstrip(CLOSING_MARKS)
    if not core.endswith(".") or core.endswith(".."):
        return core.endswith(SENTENCE_ENDS)
    stem = _stem(core)
    next_stem = _stem(following) if following is not None else ""
    if stem in _NUMBER_SIGNS:
        return not next_stem[:1].isdigit()
    if stem in _LEADING_ABBREVIATIONS:
        return False
    if stem.isdigit() and len(stem) <= _MAX_ORDINAL_DIGITS:
        return False
    is_initial = len(stem) == 1 and stem.isalpha() and stem != "i" and not _is_unspaced(stem)
    is_dotted = "." in stem and all(len(part) == 1 for part in stem.split("."))
    if is_initial or is_dotted or stem in _ABBREVIATIONS:
        is_capitalised = following is not None and following.strip(_AROUND_WORDS)[:1].isupper()
        return is_capitalised and not is_initial and next_stem in _SENTENCE_STARTERS
    return True


_AROUND_WORDS = CLOSING_MARKS + PREPENDED_PUNCTUATION + "„«‘.,;:!?…"


def _stem(text: str) -> str:
    """The word without what stands around it, in lower case."""
    return text.strip(_AROUND_WORDS).lower()
