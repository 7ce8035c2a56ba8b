"""What the project is compared with: other ways to the same answer, on the same weights.

All are greedy but `ChunkedPipeline` with transformers' defaults, which looks for the best of five hypotheses.

Speech to text: `FasterWhisper`, and transformers' `ChunkedPipeline` and `SequentialPipeline`.
Who said what: `original_design` (the blog post that this project's design comes from) and `best_practice`.

Waveforms are float32, (samples,), mono, 16 kHz; times are seconds.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import torch

from benchmarks.child import ASR_MODEL, DIARIZATION_MODEL, REPOSITORY
from benchmarks.measures import Answer, SaidWord
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Diarization, SpeakerTurn, Word

# Count up when a peer's settings change: what was kept before is then heard again.
REVISION = 1
KEPT = REPOSITORY / "benchmarks" / "results" / "local" / "kept"
Heard = TypeVar("Heard")

CHUNK_S = 30
ORIGINAL_BATCH = 24
FASTER_WHISPER_BATCH = 16
# Otherwise transformers leaves the task's token out, and Whisper writes nonsense; the original design says it too.
TASK = "transcribe"
# Sampling at a higher temperature, where greedy decoding fails, draws from here.
SEED = 0


@dataclass(frozen=True)
class Recognised:
    """What a recogniser heard."""

    text: str
    segments: tuple[Word, ...] = ()
    """Its segments, text with a leading space, start and end; empty where the peer was asked for text alone."""
    words: tuple[Word, ...] = ()
    """Its words, likewise; empty unless word times were asked for."""


def ctranslate2_directory() -> Path:
    """`models/whisper-base` in CTranslate2's format, float16, as faster-whisper's models on the Hub; made once."""
    source = REPOSITORY / ASR_MODEL
    made = source.with_name(f"{source.name}-ct2")
    if not made.is_dir():
        from ctranslate2.converters import TransformersConverter

        # Beside the final directory, then renamed: what bears the final name is always complete.
        unfinished = made.with_name(f".building-{made.name}-{os.getpid()}")
        shutil.rmtree(unfinished, ignore_errors=True)
        converter = TransformersConverter(
            str(source), copy_files=["tokenizer.json", "preprocessor_config.json"]
        )
        converter.convert(str(unfinished), quantization="float16")
        unfinished.replace(made)
    return made


class FasterWhisper:
    """faster-whisper with its defaults, but greedy (beam 1)."""

    def __init__(self, model_dir: Path, compute_type: str = "int8", threads: int = 0) -> None:
        """Load a CTranslate2 directory; `compute_type` is int8 or float32, `threads` 0 leaves it to CTranslate2."""
        from faster_whisper import BatchedInferencePipeline, WhisperModel

        self.model = WhisperModel(
            str(model_dir), device="cpu", compute_type=compute_type, cpu_threads=threads
        )
        self.pipeline = BatchedInferencePipeline(self.model)

    def sequential(
        self, waveform: np.ndarray, words: bool = False, vad: bool = False
    ) -> Recognised:
        """One window after the other, each with the text before it as its prompt; `vad` leaves silence out."""
        _seed()
        segments, _ = self.model.transcribe(
            waveform, beam_size=1, word_timestamps=words, vad_filter=vad
        )
        return _recognised(segments)

    def batched(
        self, waveform: np.ndarray, batch_size: int = FASTER_WHISPER_BATCH, words: bool = False
    ) -> Recognised:
        """Stretches of speech by voice activity detection, `batch_size` at a time."""
        _seed()
        segments, _ = self.pipeline.transcribe(
            waveform,
            beam_size=1,
            batch_size=batch_size,
            word_timestamps=words,
            condition_on_previous_text=False,
        )
        return _recognised(segments)


def _seed() -> None:
    import ctranslate2

    ctranslate2.set_random_seed(SEED)


def _recognised(segments: Iterable[Any]) -> Recognised:
    """faster-whisper's segments; it decodes as they are read."""
    read = list(segments)
    return Recognised(
        "".join(segment.text for segment in read),
        tuple(Word(segment.text, segment.start, segment.end) for segment in read),
        tuple(
            Word(word.word, word.start, word.end)
            for segment in read
            for word in segment.words or ()
        ),
    )


class ChunkedPipeline:
    """transformers' pipeline: windows of 30 s that overlap, in batches, float32."""

    def __init__(
        self, model_dir: Path, batch_size: int = ORIGINAL_BATCH, *, greedy: bool = False
    ) -> None:
        """Load a checkpoint; unless `greedy`, five beams, the pipeline's default."""
        from transformers import pipeline

        self.pipeline: Any = pipeline(
            "automatic-speech-recognition", model=str(model_dir), dtype=torch.float32, device="cpu"
        )
        self.batch_size = batch_size
        self.options: dict[str, Any] = {"task": TASK} | ({"num_beams": 1} if greedy else {})

    def __call__(self, waveform: np.ndarray) -> Recognised:
        # A copy: the pipeline may write to what it is given.
        sound = {"raw": waveform.copy(), "sampling_rate": SAMPLE_RATE_HZ}
        with torch.inference_mode():
            answer = self.pipeline(
                sound,
                chunk_length_s=CHUNK_S,
                batch_size=self.batch_size,
                return_timestamps=True,
                generate_kwargs=self.options,
            )
        duration = waveform.size / SAMPLE_RATE_HZ
        return Recognised(
            answer["text"], tuple(_chunk(chunk, duration) for chunk in answer["chunks"])
        )


def _chunk(chunk: dict[str, Any], duration: float) -> Word:
    """A chunk of the pipeline, which leaves out the end of what was cut off: then the recording's.

    (The original takes infinity, which is never nearest: its last chunk is lost.)
    """
    start, end = chunk["timestamp"]
    return Word(chunk["text"], 0.0 if start is None else start, duration if end is None else end)


class SequentialPipeline:
    """transformers' `generate`, long-form: one window after the other, each from the last timestamp on; float32."""

    def __init__(self, model_dir: Path) -> None:
        from transformers import WhisperForConditionalGeneration, WhisperProcessor

        self.model: Any = WhisperForConditionalGeneration.from_pretrained(
            model_dir, dtype=torch.float32
        ).eval()
        self.processor: Any = WhisperProcessor.from_pretrained(model_dir)

    def __call__(self, waveform: np.ndarray) -> Recognised:
        short = waveform.size <= CHUNK_S * SAMPLE_RATE_HZ
        features = self.processor(
            waveform,
            sampling_rate=SAMPLE_RATE_HZ,
            return_tensors="pt",
            truncation=False,
            padding="max_length" if short else "longest",
            return_attention_mask=True,
        )
        with torch.inference_mode():
            tokens = self.model.generate(**features, task=TASK, return_timestamps=True)
        return Recognised(self.processor.batch_decode(tokens, skip_special_tokens=True)[0])


Recognise = Callable[[np.ndarray], Recognised]
Diarize = Callable[[np.ndarray], Diarization]


Join = Callable[[Recognised, Diarization], tuple[SaidWord, ...]]


@dataclass(frozen=True)
class Design:
    """A recogniser, pyannote and a join, one after the other."""

    recognise: Recognise
    diarize: Diarize
    join: Join

    def __call__(self, waveform: np.ndarray) -> Answer:
        heard, diarization = self.recognise(waveform), self.diarize(waveform)
        return Answer(heard.text, self.join(heard, diarization), diarization.turns)


def join_by_nearest_end(heard: Recognised, diarization: Diarization) -> tuple[SaidWord, ...]:
    """The original's join, its flaws included: chunks left over are lost, and every turn takes one at least.

    Chunks know no words' times: their words are spread over them evenly. (The original fails without turns.)
    """
    said: list[SaidWord] = []
    left = list(heard.segments)
    for turn in merge_turns(diarization.turns):
        if not left:
            break
        nearest = int(np.argmin([abs(chunk.end - turn.end) for chunk in left]))
        for chunk in left[: nearest + 1]:
            said += spread(chunk, turn.speaker)
        left = left[nearest + 1 :]
    return tuple(said)


def merge_turns(turns: Sequence[SpeakerTurn]) -> list[SpeakerTurn]:
    """Consecutive turns of one speaker as one, which lasts until the next speaker begins: so the original does it."""
    firsts = [turn for n, turn in enumerate(turns) if not n or turn.speaker != turns[n - 1].speaker]
    ends = [turn.start for turn in firsts[1:]] + [turn.end for turn in turns[-1:]]
    return [
        SpeakerTurn(first.speaker, first.start, end)
        for first, end in zip(firsts, ends, strict=True)
    ]


def spread(chunk: Word, speaker: str) -> list[SaidWord]:
    """The words of a chunk, all of them equally long."""
    texts = chunk.text.split()
    length = (chunk.end - chunk.start) / max(1, len(texts))
    return [
        SaidWord(f" {text}", chunk.start + n * length, chunk.start + (n + 1) * length, speaker)
        for n, text in enumerate(texts)
    ]


def join_by_overlap(heard: Recognised, diarization: Diarization) -> tuple[SaidWord, ...]:
    """As whisperX: each word with the speaker who talks for most of it, else with the one who talks nearest to it."""
    turns = diarization.exclusive_turns
    return tuple(
        SaidWord(word.text, word.start, word.end, _speaker_of(word, turns)) for word in heard.words
    )


def _speaker_of(word: Word, turns: Sequence[SpeakerTurn]) -> str | None:
    if not turns:
        return None
    shares: dict[str, float] = defaultdict(float)
    for turn in turns:
        shares[turn.speaker] += max(0.0, min(turn.end, word.end) - max(turn.start, word.start))
    speaker = max(shares, key=shares.__getitem__)
    if shares[speaker] > 0.0:
        return speaker
    return min(turns, key=lambda turn: max(turn.start - word.end, word.start - turn.end)).speaker


class Kept(Generic[Heard]):
    """Part of a peer, loaded when it is first needed; what it hears in a waveform is kept on disk."""

    def __init__(
        self,
        name: str,
        packages: Sequence[str],
        load: Callable[[], Callable[[np.ndarray], Heard]],
        read: Callable[[Any], Heard],
        fresh: bool,
    ) -> None:
        """Keep under `name`, for as long as the `packages` stay as they are; `fresh`: hear everything again."""
        self.directory = KEPT / name
        self.version = ", ".join(
            [f"revision {REVISION}", *(f"{package} {version(package)}" for package in packages)]
        )
        self.load, self.read, self.fresh = load, read, fresh
        self.part: Callable[[np.ndarray], Heard] | None = None

    def __call__(self, waveform: np.ndarray) -> Heard:
        path = self.directory / f"{hashlib.sha256(waveform.tobytes()).hexdigest()}.json"
        if path.is_file() and not self.fresh:
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["version"] == self.version:
                return self.read(kept["heard"])
        if self.part is None:
            self.part = self.load()
        heard: Any = self.part(waveform)
        write_json(path, {"version": self.version, "heard": dataclasses.asdict(heard)})
        return self.read(dataclasses.asdict(heard))


def original_design(threads: int, fresh: bool) -> Design:
    """huggingface.co/blog/asr-diarization: the chunked pipeline, pyannote, and a join by the nearest end of a chunk."""

    def load() -> Recognise:
        torch.set_num_threads(threads)
        return ChunkedPipeline(REPOSITORY / ASR_MODEL)

    recognise = Kept("transformers-chunked", ("transformers",), load, read_recognised, fresh)
    return Design(recognise, kept_pyannote(threads, fresh), join_by_nearest_end)


def best_practice(
    threads: int, fresh: bool, mode: Literal["batched", "sequential"] = "batched"
) -> Design:
    """faster-whisper (`mode`: batched or sequential) with word times, pyannote, and a join by the largest overlap."""

    def load() -> Recognise:
        model = FasterWhisper(ctranslate2_directory(), "int8", threads)
        return partial(model.batched if mode == "batched" else model.sequential, words=True)

    name = "faster-whisper-int8" if mode == "batched" else f"faster-whisper-int8-{mode}"
    recognise = Kept(name, ("faster-whisper", "ctranslate2"), load, read_recognised, fresh)
    return Design(recognise, kept_pyannote(threads, fresh), join_by_overlap)


def kept_pyannote(threads: int, fresh: bool) -> Kept[Diarization]:
    """pyannote's own pipeline with its defaults; both peers use it."""

    def load() -> Callable[[np.ndarray], Diarization]:
        from benchmarks.pyannote_default import DefaultPyannote

        torch.set_num_threads(threads)
        return DefaultPyannote(REPOSITORY / DIARIZATION_MODEL)

    return Kept("pyannote", ("pyannote.audio",), load, read_diarization, fresh)


def read_recognised(kept: Mapping[str, Any]) -> Recognised:
    segments, words = (tuple(Word(**word) for word in kept[name]) for name in ("segments", "words"))
    return Recognised(kept["text"], segments, words)


def read_diarization(kept: Mapping[str, Any]) -> Diarization:
    turns, exclusive = (
        tuple(SpeakerTurn(**turn) for turn in kept[name]) for name in ("turns", "exclusive_turns")
    )
    return Diarization(turns, exclusive)


def write_json(path: Path, content: Any) -> None:
    """Write `content` beside `path`, then rename: what bears the final name is always complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}")
    unfinished.write_text(
        json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    unfinished.replace(path)
