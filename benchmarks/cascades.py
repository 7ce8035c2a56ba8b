"""What one puts together without this project: pyannote.audio as it comes, and a cascade."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.corpus import Clip
from benchmarks.metrics import Hypothesis
from benchmarks.run import Result, Results, Runner, is_wanted
from benchmarks.systems import DIARIZATION_MODEL, Entry, FasterWhisper
from speech_endpoint.attribution import nearest_speakers
from speech_endpoint.transcript import SAMPLE_RATE_HZ

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

        from speech_endpoint.diarization.whole import to_diarization

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

    from speech_endpoint.diarization.networks.campplus import CamPlusPlus

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
# Best practice: faster-whisper with word times, pyannote, each word to whom it overlaps most.
RECOGNISERS = {
    f"best practice: faster-whisper {mode}, int8, then pyannote.audio": Entry(
        f"faster-whisper {mode}, int8, word times",
        partial(FasterWhisper, mode, "int8", word_times=True),
    )
    for mode in ("batched", "sequential")
}


def measure(
    runner: Runner, entries: Sequence[Entry], options: argparse.Namespace, **how: Any
) -> Results:
    """What systems make of recordings, and best practice.

    The parts of best practice are measured one by one, each in a process of its own: CTranslate2's
    threads and PyTorch's in one process are more than there are processors; then libgomp lets them
    sleep between parallel loops, and pyannote takes 6.8 s where it takes 3.9 s without.

    Args:
        options: say which are wanted; sequential best practice is a slow one.
        how: see `Runner.measure`.
    """
    parts = {
        name: part
        for name, part in RECOGNISERS.items()
        if is_wanted(name, options, is_slow="sequential" in name)
    }
    diarizers = [PYANNOTE] if parts else []
    wanted = [entry for entry in entries if is_wanted(entry.name, options)]
    results = runner.measure([*wanted, *parts.values(), *diarizers], **how)
    speakers = results.pop(PYANNOTE.name, {})
    for name, part in parts.items():
        words = results.pop(part.name, {})
        if words and speakers:
            results[name] = {clip: combine(words[clip], speakers[clip]) for clip in words}
    return results


def combine(words: Result, speakers: Result) -> Result:
    """A recogniser's result and a diarizer's as one, as if one process had followed the other."""
    timings_s = {"asr": words.median_s, "diarization": speakers.median_s}
    hypotheses = []
    for said, who in zip(words.hypotheses, speakers.hypotheses, strict=True):
        # whisperX's rule. Where nobody speaks, words are nobody's.
        joined = nearest_speakers(said.words, who.exclusive_turns) if who.turns else said.words
        hypotheses.append(Hypothesis(said.text, tuple(joined), who.turns, timings_s=timings_s))
    seconds = [sum(both) for both in zip(words.seconds, speakers.seconds, strict=False)]
    peak_mib = max(words.peak_mib, speakers.peak_mib)
    return replace(words, seconds=seconds, hypotheses=hypotheses, peak_mib=peak_mib)
