"""Cues, judged by the rules that publishers have for subtitles."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import defaultdict

import pytest
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st

from speech_endpoint.output.cues import Cue, SubtitleOptions, cues
from speech_endpoint.output.display_text import columns, is_full_width
from speech_endpoint.transcript import Segment, Transcript, Turn, Word

pytestmark = pytest.mark.pure

SHORTEST_S, COLUMNS_PER_S = 0.833, 20
options = st.builds(SubtitleOptions, st.integers(20, 60), st.floats(1, 30))


def labelled(speaker: str) -> str:
    return f"{speaker}:"


def unlabelled(speaker: str) -> str:
    return ""


def said(text: str, start: float = 0.0, each_s: float = 0.3) -> tuple[Word, ...]:
    """The words of `text`, one after the other; "…s" is a pause: "0.5s"."""
    words, time = [], start
    for part in text.split():
        if part[0].isdigit() and part.endswith("s"):
            time += float(part[:-1])
            continue
        words.append(Word(f" {part}", time, time + each_s))
        time += each_s
    return tuple(words)


def monologue(words: tuple[Word, ...], duration_s: float = 600.0, **limits: float) -> list[Cue]:
    transcript = Transcript((Segment(words),), duration_s=duration_s)
    return cues(transcript, SubtitleOptions(**limits), unlabelled)  # type: ignore[arg-type]


def lines(found: list[Cue]) -> list[tuple[str, ...]]:
    return [cue.lines for cue in found]


def seen(text: str) -> str:
    """What no cutting changes: without blanks and what nobody sees; no file holds surrogates."""
    writable = re.sub("[\ud800-\udfff]", "\ufffd", text)
    kept = (char for char in writable if unicodedata.category(char) not in ("Cc", "Cf"))
    return "".join("".join(kept).split())


@settings(deadline=None, max_examples=50)
@given(strategies.any_transcripts, options, st.booleans())
def test_every_cue_keeps_to_the_limits(
    transcript: Transcript, limits: SubtitleOptions, named: bool
):
    found = cues(transcript, limits, (lambda name: f"{seen(name)}:") if named else unlabelled)
    for cue in found:
        assert 1 <= len(cue.lines) <= 2
        assert 0.0999 < cue.end - cue.start <= limits.max_cue_s + 0.001
        for line in cue.lines:
            most = (
                limits.max_line_chars * 16 // 21 if is_full_width(line) else limits.max_line_chars
            )
            assert columns(line) <= most and seen(line) and line == line.strip()
    for before, after in itertools.pairwise(found):
        assert before.end <= after.start


@settings(deadline=None, max_examples=50)
@given(strategies.any_transcripts)
def test_every_speakers_text_is_there_in_its_order(transcript: Transcript):
    spoken, shown = defaultdict(str), defaultdict(str)
    for part in transcript.turns or transcript.segments:
        spoken[part.speaker] += "".join(seen(word.text) for word in part.words)
    for cue in cues(transcript, SubtitleOptions(), unlabelled):
        shown[cue.speaker] += seen("".join(cue.lines))
    assert dict(shown) == {speaker: text for speaker, text in spoken.items() if text}


@settings(deadline=None, max_examples=50)
@given(strategies.any_transcripts)
def test_no_cue_is_short_while_the_screen_stays_empty(transcript: Transcript):
    found = cues(transcript, SubtitleOptions(), unlabelled)
    words = [word for part in transcript.turns or transcript.segments for word in part.words]
    ends = [cue.start for cue in found[1:]]
    ends.append(max([transcript.duration_s, *(word.end for word in words)]))
    for cue, end in zip(found, ends[: len(found)], strict=True):
        needed_s = max(SHORTEST_S, sum(map(columns, cue.lines)) / COLUMNS_PER_S)
        room_s = end - cue.start
        assert cue.end - cue.start >= min(needed_s, room_s, 7.0) - 0.002


def test_a_short_answer_stays_long_enough_to_be_read():
    (cue,) = monologue(said("Yes."))
    assert (cue.start, cue.end) == (0.0, 0.833)


def test_a_long_sentence_said_fast_stays_on_in_the_silence_after_it():
    (cue,) = monologue(said("Forty columns of text take two seconds.", each_s=0.1))
    assert cue.end == pytest.approx(39 / 20, abs=0.001)


def test_no_cue_outlasts_the_recording():
    (cue,) = monologue(said("Yes.", start=3.0), duration_s=3.5)
    # It begins a little before the word instead.
    assert cue.end == 3.5 and 2.75 <= cue.start < 3.0


def test_a_quick_reply_borrows_time_from_whoever_speaks_next():
    turns = (
        Turn("A", said("Are you coming with us?")),
        Turn("B", (Word(" No.", 1.5, 1.8),)),
        Turn("A", said("Then we shall have to leave without you.", start=1.8)),
    )
    found = cues(Transcript((), turns, duration_s=60), SubtitleOptions(), unlabelled)
    reply = found[1]
    assert reply.lines == ("No.",) and 1.25 <= reply.start <= 1.5 < 2.05 <= reply.end + 1e-6
    assert found[0].end <= reply.start and reply.end <= found[2].start <= 2.05


def test_a_text_that_fits_in_a_line_has_one():
    assert lines(monologue(said("This fits in a line of forty-two columns."))) == [
        ("This fits in a line of forty-two columns.",)
    ]


def test_two_lines_are_balanced_and_end_before_a_conjunction():
    text = "She had never seen the sea before and she was not afraid of it"
    assert lines(monologue(said(text, each_s=0.4))) == [
        ("She had never seen the sea before", "and she was not afraid of it")
    ]


def test_cues_end_with_sentences_though_more_would_fit():
    text = (
        "The house stood on a hill above the town. It had been empty for years."
        " Nobody in the town could say to whom it belonged."
    )
    assert [cue[-1][-1] for cue in lines(monologue(said(text)))] == [".", "."]


@pytest.mark.parametrize("n_words", range(14, 40))
def test_the_last_word_of_a_sentence_is_never_left_alone(n_words: int):
    text = " ".join(["surely"] * (n_words - 1)) + " happened."
    shown = lines(monologue(said(text)))
    assert all(" " in line for cue in shown for line in cue)


def test_a_sentence_shares_no_cue_with_the_beginning_of_another():
    text = "The quick brown fox, which nobody had seen, jumped over the lazy dog and ran. "
    assert all(cue[-1].endswith("ran.") for cue in lines(monologue(said(text * 9))))


def test_a_long_pause_parts_cues():
    found = monologue(said("I will tell you a secret 3s it was me all along"))
    assert lines(found) == [("I will tell you a secret",), ("it was me all along",)]
    assert found[1].start == pytest.approx(4.8)


def test_chinese_has_sixteen_characters_a_line_and_none_begins_with_a_full_stop():
    text = "今天天气很好，我们一起去公园散步吧。" * 6
    words = tuple(Word(char, n * 0.2, (n + 1) * 0.2) for n, char in enumerate(text))
    for cue in monologue(words):
        assert all(len(line) <= 16 and line[0] not in "，。" for line in cue.lines)
        assert cue.lines[-1][-1] in "，。"


def test_a_word_wider_than_a_line_is_cut_into_parts_of_a_line():
    word = "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz"
    (cue,) = monologue((Word(f" {word}", 0.0, 4.0),))
    assert "".join(cue.lines) == word and max(map(len, cue.lines)) <= 42


def test_the_label_takes_room_and_has_a_line_of_its_own_where_it_is_long():
    words = said("Forty-two columns hold this text without it.")
    short, long = (
        cues(Transcript((), (Turn(name, words),)), SubtitleOptions(), labelled)[0].lines
        for name in ("SPEAKER_00", "Her Excellency the Ambassador of Bohemia")
    )
    assert short == ("SPEAKER_00: Forty-two columns", "hold this text without it.")
    assert long[0] == "Her Excellency the Ambassador of Bohemia:" and len(long) == 2


def test_a_name_wider_than_a_line_is_cut_short():
    turn = Turn("the honourable member " * 3, said("Hear, hear!"))
    (cue,) = cues(Transcript((), (turn,)), SubtitleOptions(), labelled)
    assert cue.lines[0].endswith("…") and len(cue.lines[0]) <= 42 and cue.lines[1] == "Hear, hear!"


def test_crosstalk_is_shown_when_it_happens_and_never_at_once():
    story = said(" ".join(["and then we went on to the next one,"] * 6), each_s=0.25)
    reply = Turn("B", (Word(" Really?", 5.0, 5.6),))
    found = cues(
        Transcript((), (Turn("A", story), reply), duration_s=60), SubtitleOptions(), labelled
    )
    assert [cue.start for cue in found] == sorted(cue.start for cue in found)
    assert all(a.end <= b.start for a, b in itertools.pairwise(found))
    (shown,) = (cue for cue in found if cue.speaker == "B")
    assert abs(shown.start - 5.0) <= 0.25


def test_two_who_speak_at_the_same_instant_share_the_time():
    turns = (Turn("A", said("Yes, of course.", 1.0)), Turn("B", said("Not at all.", 1.0)))
    first, second = cues(Transcript((), turns, duration_s=60), SubtitleOptions(), labelled)
    assert first.end - first.start >= 0.5 and second.end - second.start >= 0.83
    assert second.start - 1.0 <= 0.25


def test_a_cue_may_be_made_longer_or_shorter():
    words = said(" ".join(["on and on"] * 30))
    for most in (3.0, 7.0, 12.0):
        found = monologue(words, max_cue_s=most)
        assert max(cue.end - cue.start for cue in found) <= most
    wide = monologue(words, max_line_chars=80)
    assert 42 < max(len(line) for cue in wide for line in cue.lines) <= 80


def test_a_telephone_call_reads_well():
    told = (
        "Oh,|18.08|18.48 I'm|18.48|18.62 originally|18.62|18.8 from|18.8|19.16 Chicago|19.16|19.5"
        " also.|19.5|20.0 I'm|20.0|20.26 in|20.26|20.32 New|20.32|20.46 Jersey|20.46|20.78"
        " now|20.78|21.12 though.|21.12|21.6",
        "Well,|21.82|22.26 there's|22.26|22.7 not|22.7|22.86 much|22.86|23.28"
        " difference.|23.28|23.74 At|23.74|24.12 least,|24.12|24.52 you|24.52|25.04"
        " know,|25.04|25.18 they|25.18|25.34 all|25.34|25.52 call|25.52|25.76 me|25.76|26.06"
        " a|26.06|26.24 Yankee|26.24|26.66 down|26.66|26.98 here.|26.98|27.48",
    )
    turns = tuple(
        Turn(f"SPEAKER_0{n}", tuple(Word(f" {w}", float(s), float(e)) for w, s, e in words))
        for n, words in enumerate([each.split("|") for each in line.split()] for line in told)
    )
    found = cues(Transcript((), turns, duration_s=30.0), SubtitleOptions(), labelled)
    assert lines(found) == [
        ("SPEAKER_00: Oh,", "I'm originally from Chicago also."),
        ("SPEAKER_00: I'm in New Jersey now though.",),
        ("SPEAKER_01: Well,", "there's not much difference."),
        ("SPEAKER_01: At least, you know,", "they all call me a Yankee down here."),
    ]
    # The first is short of time, and comes a little before its words.
    assert [cue.start for cue in found] == pytest.approx([17.83, 20.0, 21.82, 23.99], abs=0.01)


def test_a_line_ends_before_a_preposition_and_not_after():
    (shown,) = lines(monologue(said("Her cousin said that she had dropped into the dullest house")))
    assert not shown[0].endswith(("into", "the", "that", "she", "had"))
