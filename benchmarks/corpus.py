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
import re
import wave
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from benchmarks.metrics import Utterance
from benchmarks.signals import SIGNALS, signal
from speech_endpoint.audio.decoding.decode import decode_audio
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


class RecordingNotFoundError(Exception):
    """The message says what there is."""


@dataclass(frozen=True)
class Clip:
    """A recording and its references."""

    name: str
    kind: str
    read: Callable[[], bytes]
    """Gives the audio file's content."""
    rttm: Path | None = None
    """Who speaks when; an STM file may lie beside it."""
    text: str = ""
    """What is said in an utterance."""
    language: str = "en"
    offset_s: float = 0.0
    """Silence that was put before it."""

    @cached_property
    def content(self) -> bytes:
        return self.read()

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
        read = partial(wav, np.pad(self.waveform, (n_samples, 0)))
        return replace(self, read=read, offset_s=n_samples / SAMPLE_RATE_HZ)


def find_clips(names: Sequence[str] = ()) -> list[Clip]:
    """Every recording, in the order of a report, or those of `names`: recordings or kinds.

    Raises:
        RecordingNotFoundError: there are no recordings, or none of such a name.
    """
    if not DATA.is_dir():
        raise RecordingNotFoundError(f"no recordings in {DATA}; set SPEECH_DATA to their directory")
    clips = [*_all()]
    known = {clip.name for clip in clips} | {clip.kind for clip in clips}
    if unknown := set(names) - known:
        there_are, missing = (", ".join(sorted(some)) for some in (known, unknown))
        raise RecordingNotFoundError(f"{DATA} has no {missing}; it has {there_are}")
    return [clip for clip in clips if not names or {clip.name, clip.kind} & set(names)]


def load(name: str) -> list[Clip]:
    """What is timed as one: "phone_call", "phone_call x6", "utterances" or "minutes 30".

    Raises:
        RecordingNotFoundError: there is no such recording.
    """
    if minutes := re.fullmatch(r"minutes ([\d.]+)", name):
        parts = [clip for part in MINUTES_OF for clip in find_clips([part])]
        n_samples = round(float(minutes[1]) * 60 * SAMPLE_RATE_HZ)
        return [Clip(name, CONVERSATION, lambda: wav(np.resize(_joined(parts), n_samples)))]
    if not (repeated := re.fullmatch(r"(.+) x(\d+)", name)):
        return find_clips([name])
    parts = find_clips([repeated[1]]) * int(repeated[2])
    text = " ".join(clip.transcript for clip in parts).strip()
    return [Clip(name, parts[0].kind, lambda: wav(_joined(parts)), text=text)]


def _joined(clips: Sequence[Clip]) -> Waveform:
    return np.concatenate([clip.waveform for clip in clips])


def _all() -> Iterator[Clip]:
    for rttm in sorted((DATA / CONVERSATION).glob("*.rttm")):
        yield Clip(rttm.stem, CONVERSATION, rttm.with_suffix(".flac").read_bytes, rttm)
    table = DATA / "utterances.tsv"
    lines = table.read_text(encoding="utf-8").splitlines() if table.is_file() else []
    for row in csv.DictReader(lines, delimiter="\t"):
        audio, text = DATA / UTTERANCE / row["file"], row["transcript"]
        yield Clip(audio.stem, UTTERANCE, audio.read_bytes, None, text, row["language"])
    for path in sorted((DATA / NO_SPEECH).glob("*.flac")):
        yield Clip(path.stem, NO_SPEECH, path.read_bytes)
    for name in SIGNALS:
        yield Clip(name, NO_SPEECH, partial(_made, name))


def _made(name: str) -> bytes:
    return wav(signal(name))


def wav(waveform: np.ndarray) -> bytes:
    """A waveform as a WAV file of 16 bits; what was decoded from 16 bits comes out as it was."""
    samples = (waveform * 2**15).round().clip(-(2**15), 2**15 - 1).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, SAMPLE_RATE_HZ, 0, "NONE", ""))
        out.writeframes(samples.tobytes())
    return file.getvalue()
