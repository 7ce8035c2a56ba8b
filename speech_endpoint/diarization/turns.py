"""Speaker turns as people would mark them, from a pipeline's. Pure; all times are seconds."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace

from speech_endpoint.transcript import SpeakerTurn

MAX_PAUSE_S = 1.0
"""A turn goes on over a pause of up to this length in which nobody else speaks."""
MAX_ISLAND_S = 0.6
"""A turn in the middle of others' speech is an island if it is shorter than this."""
MAX_ISLAND_GAP_S = 0.1
"""Whoever is set off from the others by more than this, as by a pause, is no island."""


def within(turns: Iterable[SpeakerTurn], duration_s: float) -> tuple[SpeakerTurn, ...]:
    """Cut turns to 0 to `duration_s`; those of which something is left, in order of start and end.

    Args:
        turns: of all speakers, in any order.
        duration_s: of the recording.
    """
    cut = (
        replace(turn, start=max(0.0, turn.start), end=min(duration_s, turn.end)) for turn in turns
    )
    not_empty = (turn for turn in cut if turn.start < turn.end)
    return tuple(sorted(not_empty, key=lambda turn: (turn.start, turn.end)))


def fill_pauses(turns: Sequence[SpeakerTurn]) -> tuple[SpeakerTurn, ...]:
    """Join turns of one speaker between which nobody speaks for up to MAX_PAUSE_S.

    Args:
        turns: of all speakers, in order of start and end; they may overlap.

    Returns:
        Turns in the same order. Where they overlap is where they did before.
    """
    filled: list[SpeakerTurn] = []
    last_of: dict[str, int] = {}
    spoken_until = 0.0
    for turn in turns:
        last = last_of.get(turn.speaker)
        is_next = last is not None and filled[last].end >= spoken_until
        if last is not None and is_next and turn.start - filled[last].end <= MAX_PAUSE_S:
            filled[last] = replace(filled[last], end=max(filled[last].end, turn.end))
        else:
            last_of[turn.speaker] = len(filled)
            filled.append(turn)
        spoken_until = max(spoken_until, turn.end)
    return tuple(sorted(filled, key=lambda turn: (turn.start, turn.end)))


def drop_islands(exclusive_turns: Sequence[SpeakerTurn]) -> tuple[SpeakerTurn, ...]:
    """Leave out a short turn where one speaker hands over to another.

    Where two voices mix, their embedding may be near to a third one's. Words in the gap that is
    left go to the nearer of the two.

    Args:
        exclusive_turns: in order, not overlapping.
    """
    kept = list(exclusive_turns[:1])
    for before, turn, after in zip(
        exclusive_turns, exclusive_turns[1:], exclusive_turns[2:], strict=False
    ):
        is_short = turn.end - turn.start < MAX_ISLAND_S
        gap_s = max(turn.start - before.end, after.start - turn.end)
        is_third = turn.speaker not in (before.speaker, after.speaker)
        if not (is_short and is_third and gap_s < MAX_ISLAND_GAP_S):
            kept.append(turn)
    return (*kept, *exclusive_turns[1:][-1:])


def make_exclusive(turns: tuple[SpeakerTurn, ...]) -> tuple[SpeakerTurn, ...]:
    """Leave at most one speaker at any time: where turns overlap, the one that began last.

    Args:
        turns: of all speakers.

    Returns:
        Turns in order of time; neighbours are of different speakers or have a pause between them.
    """
    borders = sorted({border for turn in turns for border in (turn.start, turn.end)})
    pending = sorted(turns, key=lambda turn: turn.start, reverse=True)
    active: list[SpeakerTurn] = []
    exclusive: list[SpeakerTurn] = []
    for start, end in itertools.pairwise(borders):
        while pending and pending[-1].start <= start:
            active.append(pending.pop())
        active = [turn for turn in active if turn.end > start]
        if not active:
            continue
        speaker = active[-1].speaker
        if exclusive and exclusive[-1].speaker == speaker and exclusive[-1].end == start:
            start = exclusive.pop().start
        exclusive.append(SpeakerTurn(speaker, start, end))
    return tuple(exclusive)
