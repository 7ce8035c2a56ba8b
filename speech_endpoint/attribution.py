"""Who said which word: words meet speaker turns. Pure; all times are seconds."""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from types import MappingProxyType

from speech_endpoint.intervals import Coverage, Interval, simultaneous
from speech_endpoint.orthography import CLAUSE_ENDS
from speech_endpoint.transcript import (
    Diarization,
    Segment,
    SpeakerTurn,
    Turn,
    Word,
)
from speech_endpoint.utterances import utterances

DEFAULT_SPEAKER = "SPEAKER_00"
"""Who says everything where the diarization finds nobody."""
MAX_CLAUSE_GAP_S = 0.3
"""Words of one clause follow one another within this; a back-channel ("mhm") is set off by more."""
MIN_OVERLAP_S = 0.1
"""Speakers overlap from here on; shorter overlaps are frame edges of the diarization."""
EQUAL_S = 1e-9
"""Durations that differ by less are equal."""
BROKEN_OFF = "-"
"""Ends a word that is not spoken to its end, and so a clause."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """A transcript with speakers. Words, turns and speaker turns bear the same names.

    Speakers who are not known by name are named SPEAKER_00, SPEAKER_01, … in the order of their
    first words; those who say no word that was transcribed come last, in the order of their first
    speaker turns.
    """

    segments: tuple[Segment, ...]
    """Each with one speaker: segments are cut where the speaker changes."""
    turns: tuple[Turn, ...]
    """Every word once, in the order in which turns begin."""
    speaker_turns: tuple[SpeakerTurn, ...]
    """When each speaker talks; turns of different speakers may overlap."""
    names: Mapping[str, str] = field(default_factory=dict)
    """What each label of the diarization is called."""


def attribute(
    segments: Sequence[Segment], diarization: Diarization, known: Mapping[str, str] | None = None
) -> Attribution:
    """Give every word to a speaker of the diarization.

    A word goes to whoever talks for most of it, by the exclusive turns; words that slipped across a
    change of speaker are then returned to their sentences.

    Args:
        segments: in order.
        diarization: its labels may be any strings. Without turns, one speaker says everything.
        known: the names of some labels.
    """
    words = [word for segment in segments for word in segment.words]
    numbers = [n for n, segment in enumerate(segments) for _ in segment.words]
    exclusive_turns = diarization.exclusive_turns
    spoken = smooth_speakers(nearest_speakers(words, exclusive_turns), exclusive_turns)
    placed = list(zip(numbers, spoken, strict=True))
    return _named(segments, placed, diarization.turns, exclusive_turns, known or {})


def attribute_channels(channels: Sequence[Sequence[Segment]]) -> Attribution:
    """Merge the transcripts of channels that hold one speaker each.

    Words and segments of several channels interleave in the order of their starts; a segment is cut
    where words of another come between its own. Turns keep utterances whole, as people read them,
    in the order in which these begin: where two talk at once, a turn's words may begin before the
    last ones of the turn before it.

    Args:
        channels: the segments of each channel, in order.
    """
    labelled = [
        (str(channel), segment) for channel, part in enumerate(channels) for segment in part
    ]
    spoken = [
        (n, label, word) for n, (label, segment) in enumerate(labelled) for word in segment.words
    ]
    spoken.sort(key=lambda each: each[2].start)
    placed = [(n, replace(word, speaker=label)) for n, label, word in spoken]
    talking = _coverage_by_speaker(
        SpeakerTurn(label, word.start, word.end) for _, label, word in spoken
    )
    speaker_turns = [
        SpeakerTurn(label, interval.start, interval.end)
        for label, coverage in talking.items()
        for interval in coverage.intervals
    ]
    speaker_turns.sort(key=lambda turn: turn.start)
    interleaved = _named([segment for _, segment in labelled], placed, speaker_turns)
    words = [word for segment in interleaved.segments for word in segment.words]
    return replace(interleaved, turns=_group_turns(_by_utterance(words), interleaved.speaker_turns))


def _by_utterance(words: Sequence[Word]) -> list[Word]:
    """Words of several speakers, one utterance after the other.

    Args:
        words: named, in the order of their starts.
    """
    by_speaker: dict[str | None, list[Word]] = {}
    for word in words:
        by_speaker.setdefault(word.speaker, []).append(word)
    whole = [utterance for own in by_speaker.values() for utterance in utterances(own)]
    whole.sort(key=lambda utterance: utterance[0].start)
    return [word for utterance in whole for word in utterance]


def nearest_speakers(words: Sequence[Word], turns: Iterable[SpeakerTurn]) -> list[Word]:
    """Label every word with the speaker who talks for most of it, or else with the nearest in time.

    Equal shares go to the speaker who talks first. Costs O(words * speakers * log(turns)).
    """
    talking = _coverage_by_speaker(turns)
    return [replace(word, speaker=_nearest(word, talking)) for word in words]


def smooth_speakers(words: Sequence[Word], turns: Iterable[SpeakerTurn]) -> list[Word]:
    """Give words back to the speaker whose sentence they belong to.

    Diarization and word times each err by a tenth of a second or two, so that the word at a change
    of speaker slips to the wrong side. It moves where the sentence says so and neither a pause nor
    punctuation sets it off: "mhm," keeps its speaker. Two words move where they begin a sentence
    and the turn of the speaker who goes on with it begins within the second.

    Args:
        words: labelled, in order.
        turns: the exclusive ones, by which they are.
    """
    smoothed = list(words)
    for n in range(1, len(words) - 1):
        speaker = _smoothed_speaker(smoothed[n - 1], words[n], words[n + 1])
        if speaker != words[n].speaker:
            smoothed[n] = replace(words[n], speaker=speaker)
    talking = _coverage_by_speaker(turns)
    for n in range(2, len(words) - 1):
        before, first, second, after = smoothed[n - 2 : n + 2]
        is_hand_over = before.speaker == first.speaker == second.speaker != after.speaker
        if is_hand_over and _open_a_sentence(before, first, second, after):
            own = talking.get(str(after.speaker))
            if own is not None and own.covered_s(second.start, second.end) > EQUAL_S:
                smoothed[n - 1 : n + 1] = (
                    replace(word, speaker=after.speaker) for word in (first, second)
                )
    return smoothed


def _coverage_by_speaker(turns: Iterable[SpeakerTurn]) -> dict[str, Coverage]:
    """When each speaker talks, in the order of their first turns."""
    intervals: dict[str, list[Interval]] = {}
    for turn in sorted(turns, key=lambda turn: turn.start):
        intervals.setdefault(turn.speaker, []).append(Interval(turn.start, turn.end))
    return {speaker: Coverage(own) for speaker, own in intervals.items()}


def _nearest(word: Word, talking: Mapping[str, Coverage]) -> str:
    best, best_share, best_distance = DEFAULT_SPEAKER, -1.0, float("inf")
    for speaker, coverage in talking.items():
        share = coverage.covered_s(word.start, word.end)
        distance = coverage.distance_s(word.start, word.end)
        is_larger = share > best_share + EQUAL_S
        is_equal = share >= best_share - EQUAL_S
        if is_larger or (is_equal and distance < best_distance - EQUAL_S):
            best, best_share, best_distance = speaker, share, distance
    return best


def _smoothed_speaker(before: Word, word: Word, after: Word) -> str | None:
    """The speaker of `word`, judged by its neighbours."""
    joined_before = _same_clause(before, word)
    joined_after = _same_clause(word, after)
    # An island within another's sentence: "how | are | you".
    if before.speaker == after.speaker:
        return before.speaker if joined_before and joined_after else word.speaker
    # The last word of a sentence: "how are | you? Fine".
    if word.speaker == after.speaker and joined_before and word.ends_sentence_before(after):
        return before.speaker
    # The first word of a sentence: "Thanks. And | you too".
    if word.speaker == before.speaker and joined_after and before.ends_sentence_before(word):
        return after.speaker
    return word.speaker


def _open_a_sentence(before: Word, first: Word, second: Word, after: Word) -> bool:
    """Whether a sentence begins with `first` and goes on at least to `after` in one clause."""
    is_one_clause = _same_clause(first, second) and _same_clause(second, after)
    return is_one_clause and before.ends_sentence_before(first)


def _same_clause(first: Word, second: Word) -> bool:
    """Whether neither punctuation nor a pause stands between two consecutive words."""
    gap_s = second.start - first.end
    is_marked = first.text.rstrip().endswith((*CLAUSE_ENDS, BROKEN_OFF))
    ends_clause = is_marked or first.ends_sentence_before(second)
    return gap_s < MAX_CLAUSE_GAP_S and not ends_clause


def _named(
    segments: Sequence[Segment],
    placed: Sequence[tuple[int, Word]],
    speaker_turns: Sequence[SpeakerTurn],
    exclusive_turns: Sequence[SpeakerTurn] = (),
    known: Mapping[str, str] = MappingProxyType({}),
) -> Attribution:
    """Name the speakers, then cut segments and group turns.

    Args:
        segments: the segments to cut, whose parts keep their language and scores.
        placed: in order, labelled words, each with the index of its segment.
        speaker_turns: in order, under the same labels; where they overlap, so do the turns.
        exclusive_turns: under the same labels; how sure these are, the turns are.
        known: the names of some labels.
    """
    names = _speaker_names([word for _, word in placed], speaker_turns, known)
    placed = [(n, replace(word, speaker=names[word.speaker])) for n, word in placed]
    named_turns = tuple(replace(turn, speaker=names[turn.speaker]) for turn in speaker_turns)
    confident = [
        replace(turn, speaker=names[turn.speaker])
        for turn in exclusive_turns
        if turn.confidence is not None and turn.speaker in names
    ]
    turns = [
        replace(turn, confidence=_confidence(turn, confident))
        for turn in _group_turns([word for _, word in placed], named_turns)
    ]
    by_label = {label: name for label, name in names.items() if label is not None}
    return Attribution(_cut_segments(segments, placed), tuple(turns), named_turns, by_label)


def _confidence(turn: Turn, confident: Sequence[SpeakerTurn]) -> float | None:
    """The mean confidence of a speaker's exclusive turns within a turn, by their durations."""
    first = bisect_right(confident, turn.start, key=lambda other: other.end)
    last = bisect_left(confident, turn.end, key=lambda other: other.start)
    total, weight = 0.0, 0.0
    for other in confident[first:last]:
        if other.speaker == turn.speaker and other.confidence is not None:
            common_s = min(turn.end, other.end) - max(turn.start, other.start)
            total, weight = total + common_s * other.confidence, weight + common_s
    return total / weight if weight else None


def _speaker_names(
    words: Iterable[Word], speaker_turns: Iterable[SpeakerTurn], known: Mapping[str, str]
) -> dict[str | None, str]:
    """The name of each label; see `Attribution`. Nothing else names speakers."""
    of_words = [word.speaker for word in words]
    of_turns = [turn.speaker for turn in sorted(speaker_turns, key=lambda turn: turn.start)]
    labels = dict.fromkeys([*of_words, *of_turns])
    # Nobody is confused with whoever is known by such a name.
    numbered = (f"SPEAKER_{n:02d}" for n in itertools.count())
    free = (name for name in numbered if name not in known.values())
    return {label: known.get(label or "") or next(free) for label in labels}


def _cut_segments(
    segments: Sequence[Segment], placed: Iterable[tuple[int, Word]]
) -> tuple[Segment, ...]:
    """Runs of consecutive words of one segment and one speaker."""
    runs = groupby(placed, key=lambda pair: (pair[0], pair[1].speaker))
    return tuple(replace(segments[n], words=tuple(word for _, word in run)) for (n, _), run in runs)


def _group_turns(words: Iterable[Word], speaker_turns: Iterable[SpeakerTurn]) -> tuple[Turn, ...]:
    """Runs of consecutive words of one speaker; a turn may begin or end within a segment."""
    crosstalk = Coverage(simultaneous(_coverage_by_speaker(speaker_turns).values()))
    turns = []
    for speaker, run in groupby(words, key=lambda word: word.speaker):
        assert speaker is not None, "every word has been given a speaker"
        turn = Turn(speaker, tuple(run))
        overlap = crosstalk.covered_s(turn.start, turn.end) > MIN_OVERLAP_S
        turns.append(replace(turn, overlap=overlap))
    return tuple(turns)
