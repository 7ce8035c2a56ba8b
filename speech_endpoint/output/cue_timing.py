"""When cues come and go, so that each can be read and no two are there at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MAX_SHIFT_MS = 250
"""A cue comes at most this much before or after its first word; more is seen (Netflix's guide:
3 frames to 12)."""
MIN_SHOWN_MS = 100
"""Of any cue, whoever else speaks; less is a flicker."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """When the words of a cue are said, and how long it should be there. Milliseconds."""

    start: int
    end: int
    needed: int


def place(spoken: Sequence[Spoken], max_shown: int, end_of_recording: int) -> list[tuple[int, int]]:
    """Start and end of each cue, milliseconds.

    A cue stays until its words are said and read, but goes when the next comes, whose words may
    begin before (crosstalk). One that has too little time for that takes some of the silence before
    it, then of the next one's time, up to `MAX_SHIFT_MS`.

    Args:
        spoken: in order of their starts.
        max_shown: how long a cue may be there.
        end_of_recording: no cue is extended beyond it.

    Returns:
        In order, each at least `MIN_SHOWN_MS` long, none beginning before the last has ended.
    """
    starts = _shared_starts(spoken, end_of_recording)
    placed: list[tuple[int, int]] = []
    free_from = 0
    for n, cue in enumerate(spoken):
        start = max(starts[n], free_from)
        end = min(max(cue.end, start + cue.needed), start + max_shown)
        end = max(min(end, starts[n + 1]), start + MIN_SHOWN_MS)
        placed.append((start, end))
        free_from = end
    return placed


def _shared_starts(spoken: Sequence[Spoken], end_of_recording: int) -> list[int]:
    """Starts of cues, moved for the sake of those that are short of time; then the end."""
    starts = [*(cue.start for cue in spoken), end_of_recording]
    for n, cue in enumerate(spoken):
        if starts[n + 1] - starts[n] < cue.needed:
            earliest = max(0, cue.start - MAX_SHIFT_MS)
            if n:
                before = spoken[n - 1]
                earliest = max(earliest, before.end, starts[n - 1] + before.needed)
            starts[n] = min(starts[n], max(earliest, starts[n + 1] - cue.needed))
        if n + 1 < len(spoken) and starts[n + 1] - starts[n] < cue.needed:
            starts[n + 1] = _moved(starts[n : n + 3], cue, spoken[n + 1])
    return starts


def _moved(starts: Sequence[int], cue: Spoken, following: Spoken) -> int:
    """Where the following cue begins, if `cue` gets what the other can spare, or its share.

    Args:
        starts: of the two and of what comes after them.
        cue: is short of time.
        following: begins later for it, if it does.
    """
    start, second, third = starts
    share = (third - start) * cue.needed // (cue.needed + following.needed)
    wanted = min(start + cue.needed, max(third - following.needed, start + share))
    return max(second, min(wanted, following.start + MAX_SHIFT_MS))
