"""Words meet speakers: examples with names, then properties."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence

import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st

from speech_endpoint.attribution import (
    Attribution,
    attribute,
    attribute_channels,
    nearest_speakers,
)
from speech_endpoint.transcript import DecodingScores, Diarization, Segment, SpeakerTurn, Word

pytestmark = pytest.mark.pure

A, B, C = "Anna", "Ben", "Cem"
FIRST, SECOND, THIRD = "SPEAKER_00", "SPEAKER_01", "SPEAKER_02"


def segment(*words: tuple[str, float, float], language: str = "en") -> Segment:
    return Segment(tuple(Word(*word) for word in words), language)


def diarized(*turns: tuple[str, float, float]) -> Diarization:
    made = tuple(SpeakerTurn(*turn) for turn in turns)
    return Diarization(made, made)


def speakers(words: Sequence[Word]) -> list[str | None]:
    return [word.speaker for word in words]


def words_of(result: Attribution) -> list[Word]:
    return [word for segment in result.segments for word in segment.words]


def texts(result: Attribution) -> list[tuple[str | None, str]]:
    return [(segment.speaker, segment.text) for segment in result.segments]


def test_a_word_goes_to_whoever_speaks_most_of_it_summed_over_their_turns():
    turns = [SpeakerTurn(A, 0.0, 0.3), SpeakerTurn(B, 0.3, 0.7), SpeakerTurn(A, 0.7, 1.0)]
    assert speakers(nearest_speakers([Word(" word", 0.0, 1.0)], turns)) == [A]


def test_a_word_in_silence_goes_to_the_nearest_turn():
    turns = [SpeakerTurn(A, 0.0, 1.0), SpeakerTurn(B, 4.0, 5.0)]
    words = nearest_speakers([Word(" near", 1.5, 1.6), Word(" far", 3.5, 3.6)], turns)
    assert speakers(words) == [A, B]


def test_equal_shares_go_to_whoever_talks_first():
    turns = [SpeakerTurn(B, 1.0, 2.0), SpeakerTurn(A, 0.0, 1.0)]
    assert speakers(nearest_speakers([Word(" word", 0.5, 1.5)], turns)) == [A]


def test_more_turns_than_segments_shift_no_label():
    turns = [((A, B)[n % 2], float(n), n + 1.0) for n in range(6)]
    result = attribute([segment((" Yes.", 4.2, 4.8))], diarized(*turns))
    assert speakers(words_of(result)) == [FIRST]
    assert [turn.speaker for turn in result.speaker_turns] == [FIRST, SECOND] * 3


def test_trailing_words_after_the_last_turn_are_kept():
    segments = [segment((" One.", 0.0, 0.5)), segment((" Two.", 9.0, 9.5), (" Three.", 12.0, 12.5))]
    words = words_of(attribute(segments, diarized((B, 0.0, 1.0))))
    assert [word.text for word in words] == [" One.", " Two.", " Three."]
    assert speakers(words) == [FIRST, FIRST, FIRST]


def test_without_speaker_turns_one_speaker_says_everything():
    result = attribute([segment((" Hi", 0.0, 0.5))], Diarization())
    assert speakers(words_of(result)) == [FIRST]
    assert [turn.speaker for turn in result.turns] == [FIRST]


def test_without_words_there_are_no_turns():
    result = attribute([], diarized((B, 0.0, 1.0)))
    assert result == Attribution((), (), (SpeakerTurn(FIRST, 0.0, 1.0),), {B: FIRST})
    assert attribute_channels([]) == attribute_channels([[], []]) == Attribution((), (), ())


def test_speakers_are_named_in_the_order_of_their_words_and_then_of_their_turns():
    diarization = diarized((C, 0.0, 1.0), (B, 2.0, 3.0), (A, 4.0, 5.0))
    result = attribute([segment((" Late.", 4.2, 4.8))], diarization)
    assert [turn.speaker for turn in result.turns] == [FIRST]
    assert [turn.speaker for turn in result.speaker_turns] == [SECOND, THIRD, FIRST]


def test_a_label_that_looks_like_a_name_is_renamed_like_any_other():
    diarization = diarized((SECOND, 0.0, 1.0), (FIRST, 2.0, 3.0))
    result = attribute([segment((" One.", 0.1, 0.9), (" Two.", 2.1, 2.9))], diarization)
    assert speakers(words_of(result)) == [FIRST, SECOND]
    assert [turn.speaker for turn in result.speaker_turns] == [FIRST, SECOND]


def test_a_change_of_speaker_inside_a_segment_ends_the_turn_and_cuts_the_segment():
    scores = DecodingScores(0.0, -0.2, 1.3, 0.01)
    words = (Word(" How?", 0.0, 0.5, 0.8), Word(" Well.", 1.0, 1.5, 0.9))
    result = attribute([Segment(words, "nl", scores)], diarized((A, 0.0, 0.7), (B, 0.9, 2.0)))
    assert [(turn.speaker, turn.text) for turn in result.turns] == texts(result)
    assert [(part.speaker, part.start, part.end) for part in result.segments] == [
        (FIRST, 0.0, 0.5),
        (SECOND, 1.0, 1.5),
    ]
    assert all(part.language == "nl" and part.scores == scores for part in result.segments)
    assert [word.probability for word in words_of(result)] == [0.8, 0.9]


def test_segments_of_one_speaker_stay_apart_but_make_one_turn():
    segments = [segment((" One.", 0.0, 0.5)), segment((" Two.", 0.6, 1.0))]
    result = attribute(segments, diarized((A, 0.0, 2.0)))
    assert [part.text for part in result.segments] == [" One.", " Two."]
    assert [turn.text for turn in result.turns] == [" One. Two."]


def test_overlap_is_set_where_two_speakers_talk_at_once():
    regular = (SpeakerTurn(A, 0.0, 2.0), SpeakerTurn(B, 1.5, 4.0))
    exclusive = (SpeakerTurn(A, 0.0, 1.5), SpeakerTurn(B, 1.5, 2.5), SpeakerTurn(A, 2.5, 4.0))
    words = segment((" a.", 0.0, 1.0), (" b.", 1.6, 2.0), (" c.", 3.0, 3.5))
    result = attribute([words], Diarization(regular, exclusive))
    assert [turn.overlap for turn in result.turns] == [False, True, False]


@pytest.mark.parametrize("overlap_s", [0.0, 0.08])
def test_turns_that_hardly_meet_are_no_overlap(overlap_s: float):
    diarization = diarized((A, 0.0, 2.0), (B, 2.0 - overlap_s, 4.0))
    result = attribute([segment((" a.", 0.0, 2.0), (" b.", 2.0, 4.0))], diarization)
    assert [turn.speaker for turn in result.turns] == [FIRST, SECOND]
    assert not any(turn.overlap for turn in result.turns)


def test_words_of_channels_interleave_and_cut_each_others_segments():
    left = [segment((" How", 0.0, 0.4), (" are", 0.4, 0.8), (" you?", 2.0, 2.4))]
    right = [segment((" Mhm.", 1.0, 1.4), language="de")]
    result = attribute_channels([left, right])
    assert texts(result) == [(FIRST, " How are"), (SECOND, " Mhm."), (FIRST, " you?")]
    assert [part.language for part in result.segments] == ["en", "de", "en"]
    assert [turn.text for turn in result.turns] == [" How are", " Mhm.", " you?"]
    assert result.speaker_turns == (
        SpeakerTurn(FIRST, 0.0, 0.8),
        SpeakerTurn(SECOND, 1.0, 1.4),
        SpeakerTurn(FIRST, 2.0, 2.4),
    )


def test_the_channel_that_speaks_first_is_the_first_speaker():
    late, early = [segment((" Late.", 5.0, 6.0))], [segment((" Early.", 0.0, 1.0))]
    result = attribute_channels([late, early])
    assert texts(result) == [(FIRST, " Early."), (SECOND, " Late.")]


def test_two_who_talk_at_once_keep_their_sentences_whole():
    left = [
        segment((" We", 0.0, 0.4), (" go", 0.4, 0.8), (" there.", 0.8, 1.2), (" Often.", 1.3, 2.0))
    ]
    right = [segment((" Did", 0.3, 0.5), (" you", 0.5, 0.9), (" say?", 0.9, 1.25))]
    result = attribute_channels([left, right])
    assert [(turn.speaker, turn.text) for turn in result.turns] == [
        (FIRST, " We go there."),
        (SECOND, " Did you say?"),
        (FIRST, " Often."),
    ]


def test_a_back_channel_within_a_sentence_follows_it():
    left = [segment((" We", 0.0, 0.4), (" go", 0.4, 0.8), (" there.", 0.8, 1.2))]
    result = attribute_channels([left, [segment((" Mhm.", 0.5, 0.7))]])
    assert [turn.text for turn in result.turns] == [" We go there.", " Mhm."]


def test_channels_overlap_where_words_do():
    result = attribute_channels([[segment((" yes", 0.0, 1.0))], [segment((" no", 0.5, 1.5))]])
    assert [turn.overlap for turn in result.turns] == [True, True]


@given(strategies.segment_lists, strategies.diarizations)
def test_every_word_once_and_in_order(segments, diarization):
    result = attribute(segments, diarization)
    expected = [(w.text, w.start, w.end, w.probability) for part in segments for w in part.words]
    words = words_of(result)
    assert [(w.text, w.start, w.end, w.probability) for w in words] == expected
    assert [word for turn in result.turns for word in turn.words] == words


@given(st.lists(strategies.segment_lists, max_size=3))
def test_every_word_of_every_channel_once_in_order_of_start(channels):
    result = attribute_channels(channels)
    words = words_of(result)
    expected = [w for channel in channels for part in channel for w in part.words]
    assert [(w.text, w.start) for w in words] == [
        (w.text, w.start) for w in sorted(expected, key=lambda word: word.start)
    ]
    assert Counter(word for turn in result.turns for word in turn.words) == Counter(words)
    starts = [turn.start for turn in result.turns]
    assert starts == sorted(starts)
    for one, other in itertools.pairwise(result.turns):
        assert one.speaker != other.speaker
    check_names(result)


@given(strategies.segment_lists, strategies.diarizations)
def test_turns_and_segments_are_one_speakers(segments, diarization):
    result = attribute(segments, diarization)
    for part in (*result.turns, *result.segments):
        assert part.start <= part.end
        assert {word.speaker for word in part.words} == {part.speaker}
    for one, other in itertools.pairwise(result.turns):
        assert one.speaker != other.speaker
    check_names(result)


@given(strategies.segment_lists.filter(bool), strategies.diarizations)
def test_one_label_has_one_name(segments, diarization):
    turns = attribute(segments, diarization).speaker_turns
    pairs = zip(diarization.turns, turns, strict=True)
    assert len({(before.speaker, after.speaker) for before, after in pairs}) == len(
        {turn.speaker for turn in turns}
    )
    assert [(t.start, t.end) for t in turns] == [(t.start, t.end) for t in diarization.turns]


def check_names(result: Attribution) -> None:
    """SPEAKER_00, SPEAKER_01, … by first word, then by first turn of those without words."""
    names = list(
        dict.fromkeys(
            [word.speaker for word in words_of(result)]
            + [turn.speaker for turn in result.speaker_turns]
        )
    )
    assert names == [f"SPEAKER_{n:02d}" for n in range(len(names))]


def seconds_covered(word: Word, turns: Sequence[SpeakerTurn]) -> float:
    """Brute force on a grid of 0.05 s, to which all times belong."""
    middles = [n / 10 + 0.05 for n in range(round(word.start * 10), round(word.end * 10))]
    return sum(any(turn.start < middle < turn.end for turn in turns) for middle in middles) / 10


@given(st.lists(strategies.words, max_size=6), strategies.turn_lists.filter(bool))
def test_the_nearest_speaker_is_so_by_definition(words, turns):
    by_speaker = {
        speaker: [turn for turn in turns if turn.speaker == speaker]
        for speaker in {turn.speaker for turn in turns}
    }
    for word in nearest_speakers(words, turns):
        shares = {who: seconds_covered(word, own) for who, own in by_speaker.items()}
        gaps = {
            who: min(max(0.0, turn.start - word.end, word.start - turn.end) for turn in own)
            for who, own in by_speaker.items()
        }
        assert shares[word.speaker] >= max(shares.values()) - 1e-6
        if max(shares.values()) == 0:
            assert gaps[word.speaker] <= min(gaps.values()) + 1e-6
