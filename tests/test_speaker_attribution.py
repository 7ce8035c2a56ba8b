"""Words meet speakers: examples with names, then properties."""

from __future__ import annotations

import itertools

import hypothesis.strategies as st
from hypothesis import given

from speech_endpoint.attribution import (
    Timeline,
    attribute_words,
    nearest_speakers,
    smooth_speakers,
    split_chunks_at_speaker_changes,
    spoken_turns,
)
from speech_endpoint.transcript import AttributedWord, Chunk, SpeakerTurn, Word


def chunk(*words: tuple[str, float, float]) -> Chunk:
    made = tuple(Word(text, start, end) for text, start, end in words)
    return Chunk(made, made[0].start, made[-1].end)


def said(*words: tuple[str, float, float, str]) -> list[AttributedWord]:
    return [
        AttributedWord(Word(text, start, end), speaker, 0) for text, start, end, speaker in words
    ]


def speakers(words: list[AttributedWord]) -> list[str | None]:
    return [word.speaker for word in words]


A, B = "SPEAKER_00", "SPEAKER_01"


def test_a_word_goes_to_whoever_speaks_most_of_it_summed_over_their_turns():
    turns = [SpeakerTurn(A, 0.0, 0.3), SpeakerTurn(B, 0.3, 0.7), SpeakerTurn(A, 0.7, 1.0)]
    assert speakers(nearest_speakers([chunk((" word", 0.0, 1.0))], turns)) == [A]


def test_a_word_in_silence_goes_to_the_nearest_turn():
    turns = [SpeakerTurn(A, 0.0, 1.0), SpeakerTurn(B, 4.0, 5.0)]
    words = nearest_speakers([chunk((" near", 1.5, 1.6), (" far", 3.5, 3.6))], turns)
    assert speakers(words) == [A, B]


def test_more_turns_than_chunks_shift_no_label():
    turns = [SpeakerTurn((A, B)[n % 2], n, n + 1.0) for n in range(6)]
    words = attribute_words([chunk((" Yes.", 4.2, 4.8))], turns)
    assert speakers(words) == [A]


def test_trailing_words_after_the_last_turn_are_kept():
    words = attribute_words(
        [chunk((" One.", 0.0, 0.5)), chunk((" Two.", 9.0, 9.5), (" Three.", 12.0, 12.5))],
        [SpeakerTurn(B, 0, 1)],
    )
    assert [word.word.text for word in words] == [" One.", " Two.", " Three."]
    assert speakers(words) == [A, A, A]


def test_without_turns_one_speaker_said_everything():
    words = attribute_words([chunk((" Hi", 0.0, 0.5))], [])
    assert speakers(words) == [A]
    assert [turn.speaker for turn in spoken_turns(words, [])] == [A]


def test_nothing_said_is_no_turns():
    assert attribute_words([], [SpeakerTurn(A, 0, 1)]) == []
    assert spoken_turns([], []) == []
    assert split_chunks_at_speaker_changes([]) == []


def test_a_change_of_speaker_inside_a_chunk_ends_the_turn_and_cuts_the_chunk():
    words = attribute_words(
        [chunk((" How?", 0.0, 0.5), (" Well.", 1.0, 1.5))],
        [SpeakerTurn(A, 0.0, 0.7), SpeakerTurn(B, 0.9, 2.0)],
    )
    assert [(turn.speaker, turn.text) for turn in spoken_turns(words, [])] == [
        (A, " How?"),
        (B, " Well."),
    ]
    pieces = [
        (piece.text, piece.start, piece.end, who)
        for piece, who in split_chunks_at_speaker_changes(words)
    ]
    assert pieces == [(" How?", 0.0, 0.5, A), (" Well.", 1.0, 1.5, B)]


def test_an_island_inside_a_flowing_sentence_is_mended():
    words = said((" how", 0.0, 0.2, A), (" are", 0.2, 0.4, B), (" you", 0.4, 0.6, A))
    assert speakers(smooth_speakers(words)) == [A, A, A]


def test_a_back_channel_keeps_its_speaker():
    by_punctuation = said((" so,", 0.0, 0.2, A), (" mhm,", 0.2, 0.4, B), (" then", 0.4, 0.6, A))
    by_pause = said((" so", 0.0, 0.2, A), (" mhm", 0.6, 0.8, B), (" then", 1.2, 1.4, A))
    assert speakers(smooth_speakers(by_punctuation)) == [A, B, A]
    assert speakers(smooth_speakers(by_pause)) == [A, B, A]


def test_a_word_at_the_border_returns_to_its_sentence():
    last = said((" are", 0.0, 0.2, A), (" you?", 0.2, 0.4, B), (" Fine.", 0.6, 0.9, B))
    first = said((" Thanks.", 0.0, 0.2, A), (" And", 0.4, 0.6, A), (" you", 0.6, 0.9, B))
    assert speakers(smooth_speakers(last)) == [A, A, B]
    assert speakers(smooth_speakers(first)) == [A, B, B]


def test_overlap_is_set_where_two_speakers_talk_at_once():
    turns = [SpeakerTurn(A, 0.0, 2.0), SpeakerTurn(B, 1.5, 4.0)]
    words = said((" a", 0.0, 1.0, A), (" b", 1.6, 2.0, B), (" c", 3.0, 3.5, A))
    assert [turn.overlap for turn in spoken_turns(words, turns)] == [False, True, False]


def test_touching_turns_are_no_overlap():
    turns = [SpeakerTurn(A, 0.0, 2.0), SpeakerTurn(B, 2.0, 4.0)]
    words = said((" a", 0.0, 2.0, A), (" b", 2.0, 4.0, B))
    assert not any(turn.overlap for turn in spoken_turns(words, turns))


times = st.integers(0, 400).map(lambda n: n / 10)
spans = st.tuples(times, st.integers(0, 30).map(lambda n: n / 10)).map(
    lambda pair: (pair[0], pair[0] + pair[1])
)
turn_lists = st.lists(
    st.builds(lambda span, who: SpeakerTurn(f"S{who}", *span), spans, st.integers(0, 3)),
    max_size=12,
)
texts = st.sampled_from([" and", " so,", " yes.", " you?", "字"])
chunk_lists = st.lists(
    st.lists(st.tuples(texts, spans), min_size=1, max_size=6).map(
        lambda ws: chunk(*[(text, *span) for text, span in ws])
    ),
    max_size=5,
)


@given(chunk_lists, turn_lists)
def test_every_word_once_and_in_order(chunks, turns):
    words = attribute_words(chunks, turns)
    expected = [word for part in chunks for word in part.words]
    assert [word.word for word in words] == expected
    assert [word for turn in spoken_turns(words, turns) for word in turn.words] == expected
    assert [
        word for piece, _ in split_chunks_at_speaker_changes(words) for word in piece.words
    ] == expected


@given(chunk_lists, turn_lists)
def test_turns_are_well_formed(chunks, turns):
    words = attribute_words(chunks, turns)
    spoken = spoken_turns(words, turns)
    assert all(turn.words and turn.start <= turn.end for turn in spoken)
    assert all(one.speaker != other.speaker for one, other in itertools.pairwise(spoken))
    voices = list(dict.fromkeys(turn.speaker for turn in spoken))
    assert voices == [f"SPEAKER_{n:02d}" for n in range(len(voices))]
    assert len(voices) <= max(1, len({turn.speaker for turn in turns}))
    assert all(piece.start <= piece.end for piece, _ in split_chunks_at_speaker_changes(words))


def union_overlap(word: Word, turns: list[SpeakerTurn]) -> float:
    """Brute force on a grid of 0.05 s, to which all times belong."""
    middles = [n / 10 + 0.05 for n in range(round(word.start * 10), round(word.end * 10))]
    return sum(any(turn.start < middle < turn.end for turn in turns) for middle in middles) / 10


@given(chunk_lists, turn_lists.filter(bool))
def test_agrees_with_the_definition(chunks, turns):
    for word in nearest_speakers(chunks, turns):
        mine = {
            who: [turn for turn in turns if turn.speaker == who]
            for who in {turn.speaker for turn in turns}
        }
        shares = {who: union_overlap(word.word, own) for who, own in mine.items()}
        gaps = {
            who: min(
                max(0.0, turn.start - word.word.end, word.word.start - turn.end) for turn in own
            )
            for who, own in mine.items()
        }
        assert shares[word.speaker] >= max(shares.values()) - 1e-6
        if max(shares.values()) == 0:
            assert gaps[word.speaker] <= min(gaps.values()) + 1e-6


@given(st.lists(spans, max_size=10), spans)
def test_a_timeline_covers_what_its_intervals_cover(intervals, span):
    turns = [SpeakerTurn(A, *interval) for interval in intervals]
    assert abs(Timeline(intervals).covered(*span) - union_overlap(Word("", *span), turns)) < 1e-6


@given(turn_lists, chunk_lists)
def test_smoothing_is_stable_in_words(turns, chunks):
    words = nearest_speakers(chunks, turns)
    assert [word.word for word in smooth_speakers(words)] == [word.word for word in words]
