"""What the systems are given to hear: recordings by name, made longer by repetition where that is asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.recordings import (
    CONVERSATION,
    DATA,
    UTTERANCE,
    SpokenSegment,
    find_recordings,
    read_conversation,
)
from speech_endpoint.transcript import SAMPLE_RATE_HZ, SpeakerTurn

# Half a minute at most: decoded one at a time.
UTTERANCES = "utterances"
# So many minutes of conversations, one after the other, from the beginning again when they end.
MINUTES = "minutes"
GROWTH_PARTS = (
    "long_five_speakers",
    "four_speakers_text",
    "phone_call",
    "four_speakers",
    "two_speakers",
    "ami_dev00",
)


@dataclass(frozen=True)
class Sound:
    """What a system hears in one go of the clock."""

    name: str
    parts: tuple[np.ndarray, ...]
    """Waveforms, (samples,), float32, 16 kHz, each for a call of its own."""
    transcripts: tuple[str, ...] = ()
    """What is said in each part; empty where nobody wrote it down."""
    turns: tuple[SpeakerTurn, ...] = ()
    """Who speaks when, likewise; of sounds of one part."""
    segments: tuple[SpokenSegment, ...] = ()
    """What they say; likewise."""

    @property
    def duration_s(self) -> float:
        return sum(part.size for part in self.parts) / SAMPLE_RATE_HZ


def sound(name: str) -> Sound:
    """A sound by name: a conversation's ("phone_call"), "phone_call x6", "utterances" or "minutes 30".

    Raises:
        RuntimeError: the data are not there.
    """
    if not DATA.is_dir():
        raise RuntimeError(f"no recordings in {DATA}; set SPEECH_DATA to a directory of recordings")
    if name == UTTERANCES:
        found = find_recordings(DATA, [UTTERANCE])
        return Sound(
            name, tuple(one.waveform for one in found), tuple(one.transcript or "" for one in found)
        )
    first, _, count = name.rpartition(" ")
    if first == MINUTES:
        return Sound(name, (_minutes(float(count)),))
    if first:
        once, times = sound(first), int(count.removeprefix("x"))
        said = (" ".join(once.transcripts * times),) if once.transcripts else ()
        return Sound(name, (np.tile(once.parts[0], times),), said)
    return _conversation(name)


def _conversation(name: str) -> Sound:
    found = read_conversation(DATA / CONVERSATION / f"{name}.rttm")
    said = (found.transcript,) if found.transcript else ()
    return Sound(name, (found.waveform,), said, found.turns, found.segments)


def _minutes(minutes: float) -> np.ndarray:
    """Filled piece by piece: the parts of three hours would be another three hours of memory."""
    filled, waveform = 0, np.zeros(round(minutes * 60 * SAMPLE_RATE_HZ), np.float32)
    parts = [_conversation(name).parts[0] for name in GROWTH_PARTS]
    n = 0
    while filled < waveform.size:
        part = parts[n % len(parts)][: waveform.size - filled]
        waveform[filled : filled + part.size] = part
        filled, n = filled + part.size, n + 1
    return waveform
