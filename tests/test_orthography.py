"""Where words begin and sentences end, in any script."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from speech_endpoint.orthography import ends_sentence, word_starts

pytestmark = pytest.mark.pure

SENTENCES = {
    "zh": ("我用 iPhone 15 打3.14个电话", "我|用| iPhone| 15| 打|3.14|个|电|话"),
    "zh_unspaced": ("他在OpenAI，Google工作。", "他|在|OpenAI，|Google|工|作。"),
    "zh_quotes": ("他说：“你好。”", "他|说：|“你|好。”"),
    "ja": ("コーヒーを「買った」。", "コー|ヒー|を|「買っ|た」。"),
    "th": ("ใช้ iPhone ที่น้ำ", "ใช้| iPhone| ที่|น้ำ"),
    "lo": ("ສະບາຍດີ", "ສະ|ບາ|ຍ|ດີ"),
    "km": ("ភ្នំពេញ។", "ភ្នំ|ពេ|ញ។"),
    "my": ("မြန်မာကောင်းတယ်။", "မြန်|မာ|ကောင်း|တယ်။"),
    "bo": ("བཀྲ་ཤིས་", "བཀྲ་|ཤིས་"),
    "hi": ("नमस्ते क्षत्रिय।", "नमस्ते| क्षत्रिय।"),
    "ta": ("வணக்கம் உலகம்", "வணக்கம்| உலகம்"),
    "ar": ("مرحبا بالعالم، كيف", "مرحبا| بالعالم،| كيف"),
    "ko": ("안녕하세요 세계", "안녕하세요| 세계"),
    "en": (' - Well, "don\'t" (he said) 3.5 naïve?', ' - Well,| "don\'t"| (he| said)| 3.5| naïve?'),
    "emoji": ("好👍🏽👨‍👩‍👧", "好|👍🏽👨‍👩‍👧"),
}
# Letters, digits, marks and punctuation of scripts with and without spaces.
ALPHABET = "aZé15.,-“”(） 　我的々コーャ「」。กำเ้ๆຍະក្តកាမန်းបनमस्तेमرَب\u200d\u200c\ufe0f👍🏽🇩🇪་ཀ\ufffd"
texts = st.text(st.sampled_from(ALPHABET) | st.characters(exclude_categories=["Cs"]), max_size=30)


def words_of(text: str) -> list[str]:
    starts = sorted(word_starts(text)) or [0]
    return [text[a:b] for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]


@pytest.mark.parametrize(("text", "words"), SENTENCES.values(), ids=SENTENCES)
def test_words_read_as_people_write_them(text: str, words: str) -> None:
    assert words_of(text) == words.split("|")


@given(texts)
@example(" \u0301a")
def test_no_word_begins_with_a_mark_and_all_make_up_the_text(text: str) -> None:
    words = words_of(text)
    assert "".join(words) == text
    for word in words[1:]:
        first = word.lstrip()[:1]
        assert first and unicodedata.category(first)[0] != "M"
        assert first not in ("\u200d", "\u200c", "ー", "ำ", "ๆ")


@given(
    st.from_regex(r"[A-Za-zéü]{1,8}([0-9]{0,3}|'s)", fullmatch=True)
    | st.from_regex(r"[0-9]{1,3}([.,][0-9]{1,3})?", fullmatch=True),
    st.sampled_from(["我的", "コーヒー", "กรุงเทพ", "ភ្នំ", "မန်း", "ສະ"]),
    st.sampled_from(["", " "]),
)
def test_names_and_numbers_within_other_scripts_stay_whole(
    name: str, around: str, space: str
) -> None:
    assert space + name in words_of(around + space + name + around)


@given(st.lists(st.text(st.sampled_from("abcéщअनक्षمرक्"), min_size=1), min_size=1, max_size=6))
def test_scripts_with_spaces_are_cut_at_spaces_alone(words: list[str]) -> None:
    text = "".join(f" {word}" for word in words)
    joined = [f" {word}" for word in words]
    if not any(unicodedata.category(word[0])[0] == "M" for word in words):
        assert words_of(text) == joined


@pytest.mark.parametrize("word", [" yes.", " you?”", "好。", " है।", " wait...", " (so!)", " 1990."])
def test_punctuation_ends_a_sentence_whatever_closes_after_it(word: str) -> None:
    assert ends_sentence(word) and ends_sentence(word, " Then")


@pytest.mark.parametrize(
    ("word", "following"),
    [
        (" Mr.", " Smith"),
        (" (Dr.", " Who"),
        (" St.", " John"),
        (" J.", " K."),
        (" K.", " Rowling"),
        (" U.S.", " Army"),
        (" e.g.", " The"),
        (" p.m.", " tomorrow"),
        (" No.", " 5"),
        (" z.", " B."),
        (" 3.", " Mai"),
        (" M.", " Dupont"),
        (" etc.", " and"),
        (" so,", " The"),
    ],
)
def test_abbreviations_and_ordinals_end_no_sentence(word: str, following: str) -> None:
    assert not ends_sentence(word, following)


@pytest.mark.parametrize(
    ("word", "following"),
    [(" p.m.", " We"), (" U.S.", " The"), (" etc.", ' "But'), (" No.", " I"), (" I.", " Then")],
)
def test_the_next_word_tells_where_an_abbreviation_ends_a_sentence(
    word: str, following: str
) -> None:
    assert ends_sentence(word, following)
