"""The systems that are measured, behind one call: a waveform in, what was heard out."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from benchmarks.child import ASR_MODEL, ASSISTANT_MODEL, DIARIZATION_MODEL, REPOSITORY
from benchmarks.measures import Answer, SaidWord
from benchmarks.recordings import wav
from benchmarks.second_process import SecondProcess
from speech_endpoint.transcript import SpeakerTurn

if TYPE_CHECKING:
    from benchmarks.peers import Recognised

Output = TypeVar("Output")

PRECISIONS = {
    "auto": {"dtype": "auto", "quantization": "auto"},
    "float32": {"dtype": "float32", "quantization": "none"},
    "bf16": {"dtype": "bfloat16", "quantization": "none"},
    # Whatever the decoder multiplies at every step is int8; the encoder stays bfloat16.
    "int8": {"dtype": "bfloat16", "quantization": "int8"},
}


@dataclass(frozen=True)
class System:
    """Something to be measured; `options` are those of its engine."""

    name: str
    engine: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Heard:
    """What a system made of a waveform."""

    text: str = ""
    words: tuple[SaidWord, ...] = ()
    turns: tuple[SpeakerTurn, ...] = ()
    figures: dict[str, float] = field(default_factory=dict)
    """What the system says of its own work: steps, tokens, times."""


class Engine(ABC):
    """A loaded system."""

    def prepare(self, waveform: np.ndarray) -> Any:
        """What the system is called with; not timed."""
        return waveform

    @abstractmethod
    def __call__(self, prepared: Any) -> Heard: ...


@contextmanager
def looks(count: int | None) -> Iterator[None]:
    """For a while, go back `count` times to speech that no word covers (None: as often as the project does)."""
    from speech_endpoint.transcription import transcriber

    before = transcriber.LOOKS
    transcriber.LOOKS = before if count is None else count
    try:
        yield
    finally:
        transcriber.LOOKS = before


class Ours(Engine):
    """This project, speech to text; word times included, as always."""

    def __init__(
        self,
        precision: str = "auto",
        batch_size: int = 24,
        assisted: bool = False,
        second_looks: int | None = None,
        assistant: str = ASSISTANT_MODEL,
    ) -> None:
        from speech_endpoint.config import InferenceConfig, ModelSettings
        from speech_endpoint.transcription.transcriber import Transcriber

        settings = ModelSettings.model_validate(
            {
                "asr_model": ASR_MODEL,
                "assistant_model": assistant if assisted else None,
                "diarization_model": None,
                **PRECISIONS[precision],
            }
        )
        self.transcriber = Transcriber(settings, str(REPOSITORY))
        self.config = InferenceConfig(batch_size=batch_size, assisted=assisted)
        self.looks = second_looks

    def __call__(self, prepared: np.ndarray) -> Heard:
        with looks(self.looks):
            result = self.transcriber(prepared, self.config)
        words = tuple(
            SaidWord(w.text, w.start, w.end) for segment in result.segments for w in segment.words
        )
        text = "".join(segment.text for segment in result.segments)
        return Heard(text, words, figures=result.timings_s | result.stats())


class FasterWhisper(Engine):
    """faster-whisper, greedy, on the same weights."""

    def __init__(
        self, mode: str, compute_type: str, threads: int, batch_size: int = 16, words: bool = False
    ) -> None:
        from benchmarks import peers

        self.model = peers.FasterWhisper(peers.ctranslate2_directory(), compute_type, threads)
        self.mode, self.batch_size, self.words = mode, batch_size, words

    def __call__(self, prepared: np.ndarray) -> Heard:
        if self.mode == "batched":
            return _heard(self.model.batched(prepared, self.batch_size, self.words))
        return _heard(self.model.sequential(prepared, self.words))


class TransformersPipeline(Engine):
    """transformers' pipeline, chunked or sequential long-form, float32."""

    def __init__(self, mode: str, batch_size: int = 24, *, greedy: bool = False) -> None:
        from benchmarks import peers

        directory = REPOSITORY / ASR_MODEL
        self.run: Callable[[np.ndarray], Recognised] = (
            peers.ChunkedPipeline(directory, batch_size, greedy=greedy)
            if mode == "chunked"
            else peers.SequentialPipeline(directory)
        )

    def __call__(self, prepared: np.ndarray) -> Heard:
        return _heard(self.run(prepared))


class OurDiarizer(Engine):
    """This project, who spoke when."""

    def __init__(self) -> None:
        from speech_endpoint.diarization.diarizer import Diarizer

        self.diarizer = Diarizer(str(REPOSITORY / DIARIZATION_MODEL), token=None, device="auto")

    def __call__(self, prepared: np.ndarray) -> Heard:
        return Heard(turns=self.diarizer(prepared).turns)


class Pyannote(Engine):
    """pyannote.audio as it comes, on the same weights."""

    def __init__(self) -> None:
        from benchmarks.pyannote_default import DefaultPyannote

        self.pipeline = DefaultPyannote(REPOSITORY / DIARIZATION_MODEL)

    def __call__(self, prepared: np.ndarray) -> Heard:
        return Heard(turns=self.pipeline(prepared).turns)


class OurRequest(Engine):
    """This project's handler: words and speakers of a WAV file."""

    def __init__(self, assisted: bool = False, batch_size: int = 24) -> None:
        os.environ |= {"ASR_MODEL": ASR_MODEL, "DIARIZATION_MODEL": DIARIZATION_MODEL}
        if assisted:
            os.environ["ASSISTANT_MODEL"] = ASSISTANT_MODEL
        from handler import EndpointHandler

        self.handler = EndpointHandler(str(REPOSITORY))
        self.parameters = {
            "assisted": assisted,
            "batch_size": batch_size,
            "return_timestamps": "word",
        }

    def prepare(self, waveform: np.ndarray) -> bytes:
        return wav(waveform)

    def __call__(self, prepared: bytes) -> Heard:
        answer = self.handler({"inputs": prepared, "parameters": self.parameters})
        figures = {
            name: value
            for name, value in answer["timings"].items()
            if isinstance(value, (int, float))
        }
        return Heard(answer["text"], said_words(answer), figures=figures)


def said_words(answer: Mapping[str, Any]) -> tuple[SaidWord, ...]:
    """The words of the handler's answer, with their speakers."""
    return tuple(
        SaidWord(word["text"], word["timestamp"][0], word["timestamp"][1], turn["speaker"])
        for turn in answer["speakers"]
        for word in turn["words"]
    )


class PeersRequest(Engine):
    """What one puts together without this project: a recogniser, then pyannote.audio, then a join.

    `design`: "best", faster-whisper with word times and each word to the speaker it overlaps most, as whisperX; or
    "original", transformers' chunked pipeline and the join of huggingface.co/blog/asr-diarization.
    """

    def __init__(
        self, design: str, threads: int, mode: str = "batched", compute_type: str = "int8"
    ) -> None:
        from benchmarks import peers
        from benchmarks.pyannote_default import DefaultPyannote

        self.seconds: dict[str, float] = {}
        self.recogniser: SecondProcess | None = None
        diarize = self._timed(DefaultPyannote(REPOSITORY / DIARIZATION_MODEL), "diarization")
        if design == "original":
            chunked = peers.ChunkedPipeline(REPOSITORY / ASR_MODEL)
            self.answer: Callable[[np.ndarray], Answer] = peers.Design(
                self._timed(chunked, "asr"), diarize, peers.join_by_nearest_end
            )
            return
        self.recogniser = SecondProcess(mode, compute_type, threads)
        self.answer = peers.Design(
            self._timed(self.recogniser, "asr"), diarize, peers.join_by_overlap
        )

    def _timed(
        self, part: Callable[[np.ndarray], Output], name: str
    ) -> Callable[[np.ndarray], Output]:
        def timed(waveform: np.ndarray) -> Output:
            started = time.perf_counter()
            try:
                return part(waveform)
            finally:
                self.seconds[name] = time.perf_counter() - started

        return timed

    def __call__(self, prepared: np.ndarray) -> Heard:
        answer = self.answer(prepared)
        figures = dict(self.seconds)
        if self.recogniser is not None:
            figures["second_process_mb"] = self.recogniser.peak_mb
        return Heard(answer.text, answer.words, answer.turns, figures)


ENGINES: dict[str, Callable[..., Engine]] = {
    "ours": Ours,
    "faster-whisper": FasterWhisper,
    "transformers": TransformersPipeline,
    "our diarizer": OurDiarizer,
    "pyannote": Pyannote,
    "our request": OurRequest,
    "peers' request": PeersRequest,
}


def _heard(found: Recognised) -> Heard:
    """What a peer heard, in this module's terms."""
    return Heard(
        found.text, tuple(SaidWord(word.text, word.start, word.end) for word in found.words)
    )
