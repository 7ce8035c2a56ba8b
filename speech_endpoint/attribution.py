"""Who said which word: words joined with speaker turns. Pure: no model, no audio. All times are seconds."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import accumulate, groupby

from speech_endpoint.transcript import (
    SENTENCE_ENDS,
    AttributedWord,
    Chunk,
    SpeakerTurn,
    SpokenTurn,
    Word,
)

ONLY_SPEAKER = "SPEAKER_00"
# Speech of one sentence flows on with gaps below this; a back-channel ("mhm") is set off by longer ones.
PAUSE_S = 0.3
# Two speakers are said to overlap from here on; shorter overlaps are the diarization's frame edges.
MIN_OVERLAP_S = 0.1
# Shares of a word that differ by less are equal.
EQUAL_S = 1e-9
CLAUSE_ENDS = (*SENTENCE_ENDS, ",", ";", ":", "—", "-", "،", "，", "、", "；", "：")


class Timeline:
    """The time that a set of intervals covers; every question is answered by binary search."""

    def __init__(self, intervals: Iterable[tuple[float, float]]) -> None:
        self.starts: list[float] = []
        self.ends: list[float] = []
        for start, end in sorted(intervals):
            if self.ends and start <= self.ends[-1]:
                self.ends[-1] = max(self.ends[-1], end)
            else:
                self.starts.append(start)
                self.ends.append(end)
        lengths = (end - start for start, end in zip(self.starts, self.ends, strict=True))
        self._covered = [0.0, *accumulate(lengths)]

    def covered(self, start: float, end: float) -> float:
        """Seconds between `start` and `end` that the intervals cover."""
        return max(0.0, self._covered_until(end) - self._covered_until(start))

    def distance(self, start: float, end: float) -> float:
        """Seconds from [start, end] to the nearest interval; 0 where they touch."""
        n = bisect_right(self.starts, start)
        after = self.starts[n] - end if n < len(self.starts) else float("inf")
        before = start - self.ends[n - 1] if n else float("inf")
        return max(0.0, min(after, before))

    def _covered_until(self, time: float) -> float:
        n = bisect_right(self.starts, time)
        return self._covered[n] - max(0.0, self.ends[n - 1] - time) if n else 0.0


def attribute_words(chunks: Sequence[Chunk], turns: Sequence[SpeakerTurn]) -> list[AttributedWord]:
    """Every word of `chunks`, in order, with its speaker; one-word slips at the turns' borders are mended.

    Args:
        chunks: the transcript.
        turns: who speaks when; exclusive turns serve best. None at all: one speaker said everything.
    """
    return numbered_by_appearance(smooth_speakers(nearest_speakers(chunks, turns)))


def numbered_by_appearance(words: Sequence[AttributedWord]) -> list[AttributedWord]:
    """The words with their speakers renamed: who says the first word is SPEAKER_00, the next SPEAKER_01, …"""
    names = {
        speaker: f"SPEAKER_{n:02d}"
        for n, speaker in enumerate(dict.fromkeys(word.speaker for word in words))
    }
    return [replace(word, speaker=names[word.speaker]) for word in words]


def words_without_speakers(chunks: Sequence[Chunk]) -> list[AttributedWord]:
    """Every word of `chunks`, in order."""
    return [
        AttributedWord(word, None, n, chunk.language)
        for n, chunk in enumerate(chunks)
        for word in chunk.words
    ]


def words_of_channels(
    channels: Sequence[Sequence[Chunk]],
) -> tuple[list[AttributedWord], list[SpeakerTurn]]:
    """The words of channels that each hold one speaker, in order of their starts, and when they were said."""
    said = [(chunk, str(speaker)) for speaker, chunks in enumerate(channels) for chunk in chunks]
    words = [
        AttributedWord(word, who, n, chunk.language)
        for n, (chunk, who) in enumerate(said)
        for word in chunk.words
    ]
    words = numbered_by_appearance(sorted(words, key=lambda said: said.word.start))
    return words, [SpeakerTurn(w.speaker or ONLY_SPEAKER, w.word.start, w.word.end) for w in words]


def nearest_speakers(chunks: Sequence[Chunk], turns: Sequence[SpeakerTurn]) -> list[AttributedWord]:
    """Every word with the speaker who talks for most of it, or else with the nearest one in time.

    Equal shares go to the speaker who was heard first. Costs O(words * speakers * log(turns)).
    """
    timelines = {
        speaker: Timeline((turn.start, turn.end) for turn in turns if turn.speaker == speaker)
        for speaker in dict.fromkeys(
            turn.speaker for turn in sorted(turns, key=lambda turn: turn.start)
        )
    }
    return [
        AttributedWord(word, _nearest(word, timelines), number, chunk.language)
        for number, chunk in enumerate(chunks)
        for word in chunk.words
    ]


def _nearest(word: Word, timelines: dict[str, Timeline]) -> str:
    best, best_share, best_distance = ONLY_SPEAKER, -1.0, float("inf")
    for speaker, timeline in timelines.items():
        share = timeline.covered(word.start, word.end)
        distance = timeline.distance(word.start, word.end)
        if share > best_share + EQUAL_S or (
            share >= best_share - EQUAL_S and distance < best_distance - EQUAL_S
        ):
            best, best_share, best_distance = speaker, share, distance
    return best


def smooth_speakers(words: Sequence[AttributedWord]) -> list[AttributedWord]:
    """Give a single word back to the speaker whose sentence it belongs to.

    Diarization and word times each err by a tenth of a second or two, so the word at a border slips to the wrong
    side. It moves where the sentence says so and no pause or punctuation sets it off; "mhm," keeps its speaker.
    """
    smoothed = list(words)
    for n in range(1, len(words) - 1):
        owner = _owner(smoothed[n - 1], words[n], words[n + 1])
        if owner != words[n].speaker:
            smoothed[n] = replace(words[n], speaker=owner)
    return smoothed


def _owner(before: AttributedWord, word: AttributedWord, after: AttributedWord) -> str | None:
    """The speaker of `word`, judged by its neighbours."""
    joined_before = _flows(before, word)
    joined_after = _flows(word, after)
    # An island within another's sentence: "how | are | you".
    if before.speaker == after.speaker:
        return before.speaker if joined_before and joined_after else word.speaker
    # The last word of a sentence: "how are | you? Fine".
    if word.speaker == after.speaker and joined_before and word.word.ends_sentence:
        return before.speaker
    # The first word of a sentence: "Thanks. And | you too".
    if word.speaker == before.speaker and joined_after and before.word.ends_sentence:
        return after.speaker
    return word.speaker


def _flows(first: AttributedWord, second: AttributedWord) -> bool:
    """Whether one clause runs from `first` to `second`: no punctuation between them and no pause."""
    return second.word.start - first.word.end < PAUSE_S and not first.word.text.rstrip().endswith(
        CLAUSE_ENDS
    )


def spoken_turns(words: Sequence[AttributedWord], turns: Sequence[SpeakerTurn]) -> list[SpokenTurn]:
    """Consecutive words of one speaker, as turns; a turn ends where the speaker changes, also inside a chunk.

    Args:
        words: in order; each appears in exactly one turn.
        turns: the regular (overlapping) turns of the diarization: where two of them meet, `overlap` is set.
    """
    simultaneous = Timeline(_simultaneous_speech(turns))
    spoken = []
    for speaker, group in groupby(words, key=lambda word: word.speaker):
        turn = SpokenTurn(speaker or ONLY_SPEAKER, tuple(word.word for word in group))
        spoken.append(
            replace(turn, overlap=simultaneous.covered(turn.start, turn.end) > MIN_OVERLAP_S)
        )
    return spoken


def _simultaneous_speech(turns: Sequence[SpeakerTurn]) -> Iterable[tuple[float, float]]:
    """The intervals in which two or more speakers talk."""
    events: list[tuple[float, int]] = []
    for speaker in {turn.speaker for turn in turns}:
        timeline = Timeline((turn.start, turn.end) for turn in turns if turn.speaker == speaker)
        events += [(start, 1) for start in timeline.starts] + [(end, -1) for end in timeline.ends]
    talking, since = 0, 0.0
    for time, change in sorted(events):
        if talking >= 2 and time > since:
            yield since, time
        talking, since = talking + change, time


def split_chunks_at_speaker_changes(
    words: Sequence[AttributedWord],
) -> list[tuple[Chunk, str | None]]:
    """The transcript's chunks, each cut where its speaker changes; (chunk, speaker) in order."""
    pieces = []
    for (_, speaker, language), group in groupby(
        words, key=lambda word: (word.chunk, word.speaker, word.language)
    ):
        piece = tuple(word.word for word in group)
        pieces.append(
            (Chunk(piece, piece[0].start, max(word.end for word in piece), language), speaker)
        )
    return pieces
