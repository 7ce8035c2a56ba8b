"""What systems are measured on: recordings with their references. All times are seconds.

The directory SPEECH_DATA (by default ../shared/data) holds

    conversations/NAME.flac   with NAME.rttm (who speaks when), some with NAME.stm (and says what)
    utterances/FILE           with utterances.tsv: file, language and transcript among its columns
    edge/NAME.flac            where nobody speaks: every word there is a hallucination
"""

from __future__ import annotations

import csv
import io
import os
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from benchmarks.metrics import Utterance
from speech_endpoint.audio.decoding import decode_audio
from speech_endpoint.transcript import SAMPLE_RATE_HZ, SpeakerTurn, Waveform

REPOSITORY = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("SPEECH_DATA", REPOSITORY.parent / "shared" / "data"))
CONVERSATION, UTTERANCE, NO_SPEECH = KINDS = ("conversations", "utterances", "edge")
MAX_DURATION_S = 24 * 3600.0
# Put together from read sentences, so that the borders of turns are exact; people set the others.
EXACT_PREFIXES = ("two_", "three_", "four_", "long_")
# What `minutes N` repeats.
MINUTES_OF = ("long_five_speakers", "four_speakers_text", "phone_call", "four_speakers",
              "two_speakers", "ami_dev00")  # fmt: skip
# Levels are root mean squares, against a sample of 1.
NOISE_S, NOISE_DBFS = 60.0, -30.0
TONE_S, TONE_DBFS, TONE_HZ = 20.0, -20.0, 440.0


@dataclass(frozen=True)
class Clip:
    """A recording and its references."""

    name: str
    kind: str
    content: bytes = field(repr=False)
    """The audio file."""
    rttm: Path | None = None
    """Who speaks when; an STM file may lie beside it."""
    text: str = ""
    """What is said in an utterance."""
    language: str = "en"
    offset_s: float = 0.0
    """Silence that was put before it."""

    @cached_property
    def waveform(self) -> Waveform:
        return decode_audio(self.content, SAMPLE_RATE_HZ, MAX_DURATION_S)

    @property
    def duration_s(self) -> float:
        return self.waveform.size / SAMPLE_RATE_HZ

    @cached_property
    def turns(self) -> tuple[SpeakerTurn, ...]:
        """Who speaks when, by start; empty without a reference."""
        if self.rttm is None:
            return ()
        from pyannote.database.util import load_rttm

        (annotation,) = load_rttm(self.rttm).values()
        turns = [
            SpeakerTurn(speaker, segment.start + self.offset_s, segment.end + self.offset_s)
            for segment, _, speaker in annotation.itertracks(yield_label=True)
        ]
        return tuple(sorted(turns, key=lambda turn: (turn.start, turn.end)))

    @cached_property
    def utterances(self) -> tuple[Utterance, ...]:
        """Who says what when, by start; empty without a reference."""
        if self.rttm is None or not self.rttm.with_suffix(".stm").is_file():
            return ()
        from meeteval.io import STM

        said = []
        for line in STM.load(self.rttm.with_suffix(".stm")).lines:
            start, end = (float(t) + self.offset_s for t in (line.begin_time, line.end_time))
            said.append(Utterance(line.speaker_id, start, end, line.transcript))
        return tuple(sorted(said, key=lambda one: one.start))

    @property
    def transcript(self) -> str:
        """All that is said, in order; empty without a reference."""
        return self.text or " ".join(one.text for one in self.utterances)

    @property
    def has_exact_borders(self) -> bool:
        return self.kind == CONVERSATION and self.name.startswith(EXACT_PREFIXES)

    def delayed(self, offset_s: float) -> Clip:
        """The recording after `offset_s` of silence, its references moved by as much."""
        n_samples = round(offset_s * SAMPLE_RATE_HZ)
        if not n_samples:
            return self
        content = wav(np.pad(self.waveform, (n_samples, 0)))
        return replace(self, content=content, offset_s=n_samples / SAMPLE_RATE_HZ)


def find_clips(names: Sequence[str] = ()) -> list[Clip]:
    """Every recording, in the order of a report, or those of `names`: recordings or kinds.

    Raises:
        RuntimeError: there are no recordings, or none of such a name.
    """
    if not DATA.is_dir():
        raise RuntimeError(f"no recordings in {DATA}; set SPEECH_DATA to a directory of recordings")
    clips = [*_conversations(), *_utterances(), *_without_speech()]
    known = {clip.name for clip in clips} | set(KINDS)
    if unknown := set(names) - known:
        there_are = ", ".join(sorted(known))
        raise RuntimeError(f"{DATA} has no {', '.join(sorted(unknown))}; it has {there_are}")
    return [clip for clip in clips if not names or {clip.name, clip.kind} & set(names)]


def load(name: str) -> list[Clip]:
    """What is timed as one: "phone_call", "phone_call x6", "utterances" or "minutes 30".

    Raises:
        RuntimeError: there is no such recording.
    """
    first, _, count = name.rpartition(" ")
    if not first:
        return find_clips([name])
    if first == "minutes":
        clips = {clip.name: clip for clip in find_clips(MINUTES_OF)}
        parts = np.concatenate([clips[part].waveform for part in MINUTES_OF])
        waveform = np.resize(parts, round(float(count) * 60 * SAMPLE_RATE_HZ))
        return [Clip(name, CONVERSATION, wav(waveform))]
    (clip,), times = find_clips([first]), int(count.removeprefix("x"))
    text = " ".join([clip.transcript] * times).strip()
    return [Clip(name, clip.kind, wav(np.tile(clip.waveform, times)), text=text)]


def _conversations() -> Iterator[Clip]:
    for rttm in sorted((DATA / CONVERSATION).glob("*.rttm")):
        yield Clip(rttm.stem, CONVERSATION, rttm.with_suffix(".flac").read_bytes(), rttm)


def _utterances() -> Iterator[Clip]:
    table = DATA / "utterances.tsv"
    lines = table.read_text(encoding="utf-8").splitlines() if table.is_file() else []
    for row in csv.DictReader(lines, delimiter="\t"):
        audio, text = DATA / UTTERANCE / row["file"], row["transcript"]
        yield Clip(audio.stem, UTTERANCE, audio.read_bytes(), None, text, row["language"])


def _without_speech() -> Iterator[Clip]:
    """Recordings without speech, then signals that are made here."""
    for path in sorted((DATA / NO_SPEECH).glob("*.flac")):
        yield Clip(path.stem, NO_SPEECH, path.read_bytes())
    random, samples = np.random.default_rng(0), round(NOISE_S * SAMPLE_RATE_HZ)
    white, other = random.standard_normal(samples), random.standard_normal(samples)
    # Power that falls as 1 / frequency, above 20 Hz.
    weights = np.sqrt(np.maximum(np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ), 20.0))
    pink = np.fft.irfft(np.fft.rfft(other) / weights, samples)
    tone = np.sin(2 * np.pi * TONE_HZ * np.arange(round(TONE_S * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ)
    yield Clip("silence", NO_SPEECH, wav(np.zeros(samples)))
    signals = {"white_noise": white, "pink_noise": pink, "tone": tone}
    for name, signal in signals.items():
        level = 10 ** ((TONE_DBFS if name == "tone" else NOISE_DBFS) / 20)
        yield Clip(name, NO_SPEECH, wav(signal * level / np.sqrt(np.mean(signal**2))))


def wav(waveform: np.ndarray) -> bytes:
    """A waveform as a WAV file of 16 bits; what was decoded from 16 bits comes out as it was."""
    samples = (waveform * 2**15).round().clip(-(2**15), 2**15 - 1).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, SAMPLE_RATE_HZ, 0, "NONE", ""))
        out.writeframes(samples.tobytes())
    return file.getvalue()
