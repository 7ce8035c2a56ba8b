"""What one puts together without this project: pyannote.audio as it comes, and a cascade."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.corpus import Clip
from benchmarks.metrics import Hypothesis
from benchmarks.run import Result, Results
from benchmarks.systems import DIARIZATION_MODEL, Entry, FasterWhisper
from speech_endpoint.transcript import SAMPLE_RATE_HZ, SpeakerTurn, Word

# As pyannote/speaker-diarization-3.1 sets them, the threshold rounded.
SEGMENTATION = {"min_duration_off": 0.0}
CLUSTERING = {"method": "centroid", "min_cluster_size": 12, "threshold": 0.7}
BATCH_SIZE = 32


class Pyannote:
    """pyannote.audio's own SpeakerDiarization on our bundle's weights, nothing overridden.

    CAM++ goes through the class that pyannote has for such models (WeSpeaker's in ONNX), with one
    difference in its favour: PyTorch runs the network on all threads, where the class would have
    ONNX Runtime run it on one.
    """

    def __init__(self) -> None:
        from pyannote.audio import Audio
        from pyannote.audio.pipelines import SpeakerDiarization
        from pyannote.audio.pipelines.clustering import AgglomerativeClustering

        self.pipeline: Any = SpeakerDiarization(
            segmentation=str(DIARIZATION_MODEL / "segmentation" / "pytorch_model.bin"),
            plda=str(DIARIZATION_MODEL / "plda"),
            # The only choice for which the constructor loads no embedding model: replaced below.
            clustering="OracleClustering",
            embedding_exclude_overlap=True,
            segmentation_batch_size=BATCH_SIZE,
            embedding_batch_size=BATCH_SIZE,
        )
        self.pipeline._embedding = _campplus_embedding()
        self.pipeline._audio = Audio(sample_rate=SAMPLE_RATE_HZ, mono="downmix")
        self.pipeline.klustering = "AgglomerativeClustering"
        self.pipeline.clustering = AgglomerativeClustering(metric="cosine")
        self.pipeline._expects_num_speakers = False
        self.pipeline.instantiate({"segmentation": SEGMENTATION, "clustering": CLUSTERING})

    def __call__(self, clip: Clip) -> Hypothesis:
        import torch

        from speech_endpoint.diarization.diarizer import to_diarization

        waveform = torch.from_numpy(clip.waveform)[None]
        output = self.pipeline({"waveform": waveform, "sample_rate": SAMPLE_RATE_HZ})
        found = to_diarization(output, clip.duration_s)
        return Hypothesis(turns=found.turns, exclusive_turns=found.exclusive_turns)


def _campplus_embedding() -> Any:
    """pyannote's handling of masks and filter banks, with our CAM++ in PyTorch beneath."""
    import torch
    from pyannote.audio.pipelines.speaker_verification import (
        ONNXWeSpeakerPretrainedSpeakerEmbedding,
    )
    from safetensors.torch import load_file

    from speech_endpoint.diarization.campplus import CamPlusPlus

    weights = DIARIZATION_MODEL / "embedding" / "model.safetensors"
    network = CamPlusPlus()
    network.load_state_dict(load_file(weights))
    network.eval()

    class Session:
        """The one method of an ONNX Runtime session that pyannote calls."""

        @torch.inference_mode()
        def run(
            self, output_names: list[str], input_feed: dict[str, np.ndarray]
        ) -> list[np.ndarray]:
            """Filter banks (batch, frames, 80) → embeddings (batch, 192)."""
            return [network(torch.from_numpy(input_feed["feats"])).numpy()]

    class Embedding(ONNXWeSpeakerPretrainedSpeakerEmbedding):
        def to(self, device: torch.device) -> Embedding:
            self.session_, self.device = Session(), device
            return self

    return Embedding(str(weights))


PYANNOTE = Entry("pyannote.audio, default", Pyannote)


@dataclass(frozen=True)
class BestPractice:
    """faster-whisper with word times, pyannote, and each word to the speaker it overlaps most.

    The parts are measured one by one, each in a process of its own: CTranslate2's threads and
    PyTorch's in one process are more than there are processors; then libgomp lets them sleep
    between parallel loops, and pyannote takes 6.8 s where it takes 3.9 s without.
    """

    mode: str
    """faster-whisper's: batched or sequential."""

    @property
    def name(self) -> str:
        return f"faster-whisper {self.mode}, int8, then pyannote.audio"

    @property
    def parts(self) -> tuple[Entry, Entry]:
        recogniser = partial(FasterWhisper, self.mode, "int8", word_times=True)
        return Entry(f"faster-whisper {self.mode}, int8, word times", recogniser), PYANNOTE

    def combined(self, results: Results) -> dict[str, Result]:
        """By recording, from the results of the parts; nothing if one of them failed."""
        words, speakers = (results.get(part.name, {}) for part in self.parts)
        return {name: combine(words[name], speakers[name]) for name in words if name in speakers}


def combine(words: Result, speakers: Result) -> Result:
    """A recogniser's result and a diarizer's as one, as if they had run one after the other."""
    timings_s = {"asr": words.median_s, "diarization": speakers.median_s}
    hypotheses = []
    for said, who in zip(words.hypotheses, speakers.hypotheses, strict=True):
        with_speakers = join_by_overlap(said.words, who.exclusive_turns)
        hypotheses.append(Hypothesis(said.text, with_speakers, who.turns, timings_s=timings_s))
    seconds, peak_mb = [sum(timings_s.values())], max(words.peak_mb, speakers.peak_mb)
    return replace(words, seconds=seconds, hypotheses=hypotheses, peak_mb=peak_mb)


def join_by_overlap(words: Sequence[Word], turns: Sequence[SpeakerTurn]) -> tuple[Word, ...]:
    """Each word with the speaker who talks for most of it, or else nearest to it, as whisperX."""
    return tuple(replace(word, speaker=_main_speaker(word, turns)) for word in words)


def _main_speaker(word: Word, turns: Sequence[SpeakerTurn]) -> str | None:
    if not turns:
        return None
    overlap_s: dict[str, float] = defaultdict(float)
    for turn in turns:
        overlap_s[turn.speaker] += max(0.0, min(turn.end, word.end) - max(turn.start, word.start))
    speaker = max(overlap_s, key=overlap_s.__getitem__)
    if overlap_s[speaker] > 0.0:
        return speaker
    return min(turns, key=lambda turn: max(turn.start - word.end, word.start - turn.end)).speaker
