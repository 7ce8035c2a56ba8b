"""How well known voices are found among speakers, most of whom are strangers.

    python -m benchmarks.known_speakers FOLDER

FOLDER holds FLAC files of one voice each, at any depth, whose names begin with the voice's:
VOICE-1.flac. The figures in docs/known-speakers.md are of `audio_data` of
https://github.com/resemble-ai/Resemblyzer: 261 voices of LibriSpeech, most of them once.

Open-set identification: the first half of a recording makes a voice known, the second half is
recognised. False alarms are strangers who are given a name; the detection and identification rate
(DIR) is the share of known voices that are given theirs. The threshold is set on half of the
voices and checked on the others.

Conversations: voices with ten recordings or more take turns. All but one are known, by a recording
that is not in the conversation. A word is right if it is under its speaker's name, or for the
stranger, under nobody's.
"""

from __future__ import annotations

import argparse
import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.signal import resample_poly

from benchmarks import run
from benchmarks.corpus import wav
from benchmarks.systems import ASR_MODEL, DIARIZATION_MODEL
from speech_endpoint.audio.decoding.decode import decode_audio
from speech_endpoint.config import InferenceConfig, ModelSettings
from speech_endpoint.diarization.diarizer import Diarizer
from speech_endpoint.identification import UnusableClip, embed_voice
from speech_endpoint.pipeline import SpeechPipeline
from speech_endpoint.reception import Request
from speech_endpoint.transcript import SAMPLE_RATE_HZ, SpeakerTurn, Waveform, Word
from speech_endpoint.units import finish
from speech_endpoint.voices.matching import MIN_MARGIN, default_threshold

MIN_HALF_S = 3.0
SHORT_S = 2.0
NAMES = (2, 8, 64)
MAX_FALSE_ALARMS = 0.01
N_GALLERIES = 400
MIN_RECORDINGS = 10
"""Of a voice in a conversation."""
N_KNOWN = (2, 3, 4, 5)
N_TURNS = 12
PAUSE_S = 0.4

Degrade = Callable[[Waveform], Waveform]


def short(waveform: Waveform) -> Waveform:
    """The first two seconds."""
    return waveform[: round(SHORT_S * SAMPLE_RATE_HZ)]


def telephone(waveform: Waveform) -> Waveform:
    """8 kHz and eight bits, as G.711's mu-law has them."""
    narrow = resample_poly(waveform, 1, 2).clip(-1, 1)
    compressed = np.sign(narrow) * np.log1p(255 * np.abs(narrow)) / np.log(256)
    coarse = np.round(compressed * 127) / 127
    expanded = np.sign(coarse) * np.expm1(np.abs(coarse) * np.log(256)) / 255
    wide: Waveform = resample_poly(expanded, 2, 1).astype(np.float32)
    return wide


REFERENCES: dict[str, Degrade] = {"half a recording": lambda w: w, "2 s": short,
                                  "telephone": telephone}  # fmt: skip


@dataclass(frozen=True)
class Rates:
    """Of one threshold."""

    false_alarms: float
    identified: float


def recordings(folder: Path) -> dict[str, list[Path]]:
    """The files of each voice."""
    by_voice: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*-*.flac")):
        by_voice.setdefault(path.name.partition("-")[0], []).append(path)
    return by_voice


def read(path: Path) -> Waveform:
    """A recording."""
    return decode_audio(path.read_bytes(), SAMPLE_RATE_HZ, 3600.0)


def embedded(waveforms: Iterable[Waveform], diarizer: Diarizer) -> np.ndarray:
    """(n, dimension), NaN where a clip is refused."""
    assert diarizer.embedding_model is not None
    rows = []
    for waveform in waveforms:
        try:
            voice, _ = finish(embed_voice(waveform, diarizer))
            rows.append(voice.vector)
        except UnusableClip:
            rows.append(np.full(diarizer.embedding_model.dimension, np.nan, np.float32))
    return np.stack(rows)


def rates(scores: np.ndarray, n_names: int, threshold: float) -> Rates:
    """Over random sets of names.

    Args:
        scores: (voices, voices), cosines of what is recognised with what is known.
        n_names: that are known at once.
        threshold: the least cosine.
    """
    random = np.random.default_rng(0)
    alarms, identified = [], []
    for _ in range(N_GALLERIES):
        known = random.choice(len(scores), n_names, replace=False)
        of_names = scores[:, known]
        second, best = np.sort(of_names, axis=1)[:, -2:].T
        named = (best >= threshold) & (best - second >= MIN_MARGIN)
        is_stranger = ~np.isin(np.arange(len(scores)), known)
        alarms.append(named[is_stranger].mean())
        is_right = known[of_names[known].argmax(axis=1)] == known
        identified.append((named[known] & is_right).mean())
    return Rates(float(np.mean(alarms)), float(np.mean(identified)))


def threshold_of(scores: np.ndarray, n_names: int) -> float:
    """The lowest that gives few enough strangers a name."""
    for threshold in np.arange(0.2, 0.9, 0.01):
        found = rates(scores, n_names, float(threshold))
        if found.false_alarms <= MAX_FALSE_ALARMS:
            return float(threshold)
    raise ValueError("no threshold does")


def open_set(voices: dict[str, list[Path]], diarizer: Diarizer) -> str:
    """The table of open-set identification."""
    waveforms = [read(paths[0]) for paths in voices.values()]
    waveforms = [w for w in waveforms if len(w) >= 2 * MIN_HALF_S * SAMPLE_RATE_HZ]
    halves = [np.split(w, [len(w) // 2]) for w in waveforms]
    probes = embedded((second for _, second in halves), diarizer)
    rows = []
    for name, degrade in REFERENCES.items():
        known = embedded((degrade(first) for first, _ in halves), diarizer)
        usable = np.isfinite(probes[:, 0]) & np.isfinite(known[:, 0])
        scores = probes[usable] @ known[usable].T
        set_on, checked_on = scores[::2, ::2], scores[1::2, 1::2]
        for n_names in NAMES:
            threshold = threshold_of(set_on, n_names)
            own = rates(checked_on, n_names, threshold)
            default = rates(checked_on, n_names, default_threshold(n_names))
            row = [name, f"{len(checked_on)} of {len(waveforms) // 2}", str(n_names)]
            for at, of in ((threshold, own), (default_threshold(n_names), default)):
                row += [f"{at:.2f}", percent(of.identified), percent(of.false_alarms)]
            rows.append(row)
    columns = ["known by", "usable", "names", "threshold", "DIR", "false alarms"]
    return run.markdown_table([*columns, "default", "DIR", "false alarms"], rows)


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def conversation(
    voices: Sequence[Sequence[Path]], random: np.random.Generator
) -> tuple[Waveform, list[SpeakerTurn]]:
    """Voices that take turns, each twice in a row at most, after its first recording."""
    left = [list(paths[1:]) for paths in voices]
    pause = np.zeros(round(PAUSE_S * SAMPLE_RATE_HZ), np.float32)
    pieces, turns, at_s = [], list[SpeakerTurn](), 0.0
    order = [*range(len(voices)), *random.integers(len(voices), size=N_TURNS - len(voices))]
    for number in order:
        piece = read(left[number].pop(0))
        duration_s = len(piece) / SAMPLE_RATE_HZ
        turns.append(SpeakerTurn(str(number), at_s, at_s + duration_s))
        pieces += [piece, pause]
        at_s += duration_s + PAUSE_S
    return np.concatenate(pieces), turns


def words_right(
    pipeline: SpeechPipeline, voices: Sequence[Sequence[Path]], random: np.random.Generator
) -> np.ndarray:
    """How many words of a conversation, whose last voice is a stranger's, are whose.

    Returns:
        (2, 3): those under the right name, those under a wrong one, and all; then the same where
        the request says how many speakers there are.
    """
    waveform, turns = conversation(voices, random)
    known = [
        {"name": str(number), "reference": base64.b64encode(paths[0].read_bytes()).decode()}
        for number, paths in enumerate(voices[:-1])
    ]
    names = {each["name"] for each in known}
    counts = []
    for number in (None, len(voices)):
        parameters = {"known_speakers": known, "num_speakers": number}
        config, _ = InferenceConfig.from_parameters(parameters)
        words = pipeline.run(Request(wav(waveform), config)).words
        counts.append(_counts(words, turns, names))
    return np.array(counts)


def _counts(
    words: Sequence[Word], turns: Sequence[SpeakerTurn], names: set[str]
) -> tuple[int, int, int]:
    right = wrong = 0
    for word in words:
        middle = (word.start + word.end) / 2
        turn = min(turns, key=lambda t: max(t.start - middle, middle - t.end))
        given = word.speaker if word.speaker in names else None
        expected = turn.speaker if turn.speaker in names else None
        right += given == expected
        wrong += given is not None and given != expected
    return right, wrong, len(words)


def conversations(voices: dict[str, list[Path]], n_each: int) -> str:
    """The table of conversations."""
    settings = ModelSettings(asr_model=str(ASR_MODEL), diarization_model=str(DIARIZATION_MODEL))
    pipeline = SpeechPipeline(settings)
    often = [paths for paths in voices.values() if len(paths) >= MIN_RECORDINGS]
    random = np.random.default_rng(0)
    rows = []
    for n_known in N_KNOWN:
        counts = np.zeros((2, 3))
        for _ in range(n_each):
            chosen = random.permutation(len(often))[: n_known + 1]
            counts += words_right(pipeline, [often[n] for n in chosen], random)
        row = [str(n_known), f"{counts[0, 2]:,.0f}"]
        row += [percent(count / n) for *of, n in counts for count in of]
        rows.append(row)
    columns = ["known", "words", "right", "under a wrong name"]
    return run.markdown_table([*columns, "right, number told", "under a wrong name"], rows)


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.known_speakers", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--conversations", type=int, default=4, help="of each number of voices")
    parser.add_argument("--part", choices=["open-set", "conversations"])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    voices = recordings(options.folder)
    if options.part != "conversations":
        diarizer = Diarizer(str(DIARIZATION_MODEL), token=None, device="cpu")
        print(open_set(voices, diarizer), end="\n\n")
    if options.part != "open-set":
        print(conversations(voices, options.conversations))


if __name__ == "__main__":
    main()
