"""What the systems are given to hear: recordings by name, made longer by repetition where that is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audio_decoding import decode_audio
from benchmarks.recordings import DATA, LONGEST_S, UTTERANCE, SpokenSegment, find_recordings, read_rttm, read_stm
from transcript import SAMPLE_RATE_HZ, SpeakerTurn

# Half a minute at most: decoded one at a time.
UTTERANCES = "utterances"
# So many minutes of conversations, one after the other, from the beginning again when they end.
MINUTES = "minutes"
GROWTH_PARTS = ("long_five_speakers", "four_speakers_text", "phone_call", "four_speakers", "two_speakers", "ami_dev00")


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
        return Sound(name, tuple(one.waveform for one in found), tuple(one.transcript or "" for one in found))
    first, _, count = name.rpartition(" ")
    if first == MINUTES:
        return Sound(name, (_minutes(float(count)),))
    if first:
        once, times = sound(first), int(count.removeprefix("x"))
        said = (" ".join(once.transcripts * times),) if once.transcripts else ()
        return Sound(name, (np.tile(once.parts[0], times),), said)
    return _conversation(name)


def _path(name: str) -> Path:
    return DATA / "conversations" / f"{name}.flac"


def _conversation(name: str) -> Sound:
    stm, rttm = _path(name).with_suffix(".stm"), _path(name).with_suffix(".rttm")
    segments = read_stm(stm) if stm.is_file() else ()
    said = (" ".join(segment.text for segment in segments),) if segments else ()
    return Sound(name, (_waveform(name),), said, read_rttm(rttm) if rttm.is_file() else (), segments)


def _waveform(name: str) -> np.ndarray:
    return decode_audio(_path(name).read_bytes(), SAMPLE_RATE_HZ, LONGEST_S)


def _minutes(minutes: float) -> np.ndarray:
    """Filled piece by piece: the parts of three hours would be another three hours of memory."""
    filled, waveform = 0, np.zeros(round(minutes * 60 * SAMPLE_RATE_HZ), np.float32)
    parts = [_waveform(name) for name in GROWTH_PARTS]
    n = 0
    while filled < waveform.size:
        part = parts[n % len(parts)][: waveform.size - filled]
        waveform[filled : filled + part.size] = part
        filled, n = filled + part.size, n + 1
    return waveform
