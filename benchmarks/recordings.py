"""What the systems are judged on: recordings, with who speaks when and what is said where somebody wrote that down.

A directory of recordings holds

    conversations/NAME.flac   with NAME.rttm (who speaks when) and perhaps NAME.stm (what, when, by whom)
    utterances/FILE           with utterances.tsv: the columns file, language and transcript, among others
    edge/NAME.flac            where nobody speaks: every word heard there is invented

To the last are added signals that are made here. All times are seconds.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import wave
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from benchmarks.child import REPOSITORY
from speech_endpoint.audio.decoding import decode_audio
from speech_endpoint.transcript import SAMPLE_RATE_HZ, SpeakerTurn

DATA = Path(os.environ.get("SPEECH_DATA", REPOSITORY.parent / "shared" / "data"))
"""Where recordings are looked for; the tests use the same variable."""

# Kinds of recordings, named after the directories that they lie in.
CONVERSATION = "conversations"
UTTERANCE = "utterances"
NO_SPEECH = "edge"

# Conversations that were put together from readers' sentences: where a turn begins and ends is known to the sample.
# Other references were made by people, who set borders by ear.
EXACT_PREFIXES = ("two_", "three_", "four_", "long_")
LONGEST_S = 24 * 3600.0

NOISE_S, TONE_S = 60.0, 20.0
NOISE_DBFS, TONE_DBFS, TONE_HZ = -30.0, -20.0, 440.0
"""Levels are root mean squares, against a sample of 1."""


@dataclass(frozen=True)
class SpokenSegment:
    """A stretch of the reference's text."""

    speaker: str
    start: float
    end: float
    text: str


@dataclass(frozen=True)
class Recording:
    """A recording and what is known of it."""

    name: str
    kind: str
    """CONVERSATION, UTTERANCE or NO_SPEECH."""
    content: bytes = field(repr=False)
    """The audio file."""
    turns: tuple[SpeakerTurn, ...] = ()
    """Who speaks when; empty where nobody wrote it down."""
    segments: tuple[SpokenSegment, ...] = ()
    """What they say; likewise."""
    transcript: str | None = None
    """All that is said, in order; None where nobody wrote it down."""
    language: str = "en"
    exact: bool = False
    """The turns' borders are exact, not judged by ear."""
    silence_s: float = 0.0
    """So much of it is silence that was put before it."""

    @cached_property
    def waveform(self) -> np.ndarray:
        """(samples,), float32, mono, 16 kHz."""
        return decode_audio(self.content, SAMPLE_RATE_HZ, LONGEST_S)

    @cached_property
    def sha256(self) -> str:
        """Of the file."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def duration_s(self) -> float:
        return self.waveform.size / SAMPLE_RATE_HZ

    @property
    def speakers(self) -> tuple[str, ...]:
        """The reference's, in alphabetical order."""
        return tuple(sorted({turn.speaker for turn in self.turns}))


def begun_earlier(recording: Recording, silence_s: float) -> Recording:
    """The recording with so many seconds of silence before it, and what is known of it moved by as much."""
    if not silence_s:
        return recording
    silence = np.zeros(round(silence_s * SAMPLE_RATE_HZ), np.float32)
    moved_s = silence.size / SAMPLE_RATE_HZ
    return replace(
        recording,
        content=wav(np.concatenate([silence, recording.waveform])),
        turns=tuple(
            replace(one, start=one.start + moved_s, end=one.end + moved_s)
            for one in recording.turns
        ),
        segments=tuple(
            replace(one, start=one.start + moved_s, end=one.end + moved_s)
            for one in recording.segments
        ),
        silence_s=moved_s,
    )


def find_recordings(data: Path, only: Sequence[str] = ()) -> list[Recording]:
    """Every recording of a directory, in the order in which a report lists them; with `only`, those names and kinds.

    Raises:
        RuntimeError: there is no such directory, or nothing of such a name in it.
    """
    if not data.is_dir():
        raise RuntimeError(
            f"no recordings in {data}; set SPEECH_DATA, or give --data, a directory of recordings"
        )
    found = [
        *_conversations(data / "conversations"),
        *_utterances(data),
        *_without_speech(data / "edge"),
    ]
    wanted = set(only)
    unknown = (
        wanted - {recording.name for recording in found} - {recording.kind for recording in found}
    )
    if unknown or not found:
        names = ", ".join(recording.name for recording in found)
        raise RuntimeError(
            f"{data} holds no {', '.join(sorted(unknown)) or 'recordings'}; it holds: {names or 'none'}"
        )
    return [one for one in found if not wanted or one.name in wanted or one.kind in wanted]


def read_rttm(path: Path) -> tuple[SpeakerTurn, ...]:
    """The turns of an RTTM file (NIST: SPEAKER, recording, channel, start, duration, -, -, speaker, …) by start."""
    lines = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
    turns = [
        SpeakerTurn(fields[7], float(fields[3]), float(fields[3]) + float(fields[4]))
        for fields in lines
        if fields and fields[0] == "SPEAKER"
    ]
    return tuple(sorted(turns, key=lambda turn: (turn.start, turn.end)))


def read_stm(path: Path) -> tuple[SpokenSegment, ...]:
    """The segments of an STM file (NIST: recording, channel, speaker, start, end, perhaps <labels>, words) by start."""
    segments = []
    for line in path.read_text(encoding="utf-8").splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) < 6 or line.startswith(";;"):
            continue
        text = fields[5]
        if text.startswith("<"):
            text = text.partition(">")[2].strip()
        segments.append(SpokenSegment(fields[2], float(fields[3]), float(fields[4]), text))
    return tuple(sorted(segments, key=lambda segment: segment.start))


def read_conversation(rttm: Path) -> Recording:
    """The conversation that an RTTM file describes; the audio and perhaps an STM file lie beside it."""
    stm = rttm.with_suffix(".stm")
    segments = read_stm(stm) if stm.is_file() else ()
    return Recording(
        rttm.stem,
        CONVERSATION,
        rttm.with_suffix(".flac").read_bytes(),
        read_rttm(rttm),
        segments,
        " ".join(segment.text for segment in segments) if segments else None,
        exact=rttm.stem.startswith(EXACT_PREFIXES),
    )


def _conversations(directory: Path) -> Iterable[Recording]:
    return map(read_conversation, sorted(directory.glob("*.rttm")))


def _utterances(data: Path) -> Iterable[Recording]:
    table = data / "utterances.tsv"
    if not table.is_file():
        return
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            yield Recording(
                Path(row["file"]).stem,
                UTTERANCE,
                (data / "utterances" / row["file"]).read_bytes(),
                transcript=row["transcript"],
                language=row["language"],
            )


def _without_speech(directory: Path) -> Iterable[Recording]:
    for path in sorted(directory.glob("*.flac")):
        yield Recording(path.stem, NO_SPEECH, path.read_bytes())
    for name, waveform in signals().items():
        yield Recording(name, NO_SPEECH, wav(waveform))


def wav(waveform: np.ndarray) -> bytes:
    """A waveform, (samples,), float32, 16 kHz, as the bytes of a WAV file of 16 bits."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE_HZ)
        out.writeframes((waveform.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return file.getvalue()


def signals() -> dict[str, np.ndarray]:
    """Sounds in which nobody speaks, by name: (samples,), float32, 16 kHz."""
    samples = round(NOISE_S * SAMPLE_RATE_HZ)
    random = np.random.default_rng(0)
    white = random.standard_normal(samples)
    return {
        "silence": np.zeros(samples, np.float32),
        "white_noise": at_level(white, NOISE_DBFS),
        "pink_noise": at_level(pink(random.standard_normal(samples)), NOISE_DBFS),
        "tone": at_level(
            np.sin(
                2 * np.pi * TONE_HZ * np.arange(round(TONE_S * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
            ),
            TONE_DBFS,
        ),
    }


def pink(white: np.ndarray) -> np.ndarray:
    """White noise, (samples,), with its power made to fall as 1 / frequency, above 20 Hz."""
    frequencies = np.fft.rfftfreq(white.size, 1 / SAMPLE_RATE_HZ)
    return np.fft.irfft(np.fft.rfft(white) / np.sqrt(np.maximum(frequencies, 20.0)), white.size)


def at_level(signal: np.ndarray, dbfs: float) -> np.ndarray:
    """`signal` with a root mean square of `dbfs` decibels against 1, float32."""
    return (signal * (10 ** (dbfs / 20) / np.sqrt(np.mean(np.square(signal))))).astype(np.float32)
