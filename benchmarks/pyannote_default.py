"""pyannote.audio's own SpeakerDiarization, nothing overridden, with the same weights as `models/speaker-diarization`.

CAM++ goes through the class that pyannote has for such models (those of WeSpeaker in ONNX), with one difference in its
favour: PyTorch runs the network, on all threads, where the class would have ONNX Runtime run it on one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pyannote.audio import Audio
from pyannote.audio.pipelines import SpeakerDiarization
from pyannote.audio.pipelines.clustering import AgglomerativeClustering
from pyannote.audio.pipelines.speaker_verification import ONNXWeSpeakerPretrainedSpeakerEmbedding
from safetensors.torch import load_file

from speech_endpoint.diarization.campplus import CamPlusPlus
from speech_endpoint.diarization.diarizer import to_diarization
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Diarization


class TorchSession:
    """CAM++ with the one method of an ONNX Runtime session that pyannote calls."""

    def __init__(self, weights: Path) -> None:
        self.network = CamPlusPlus()
        self.network.load_state_dict(load_file(weights))
        self.network.eval()

    @torch.inference_mode()
    def run(self, output_names: list[str], input_feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Filter banks (batch, frames, 80) → embeddings (batch, 192)."""
        return [self.network(torch.from_numpy(input_feed["feats"])).numpy()]


class CamPlusPlusEmbedding(ONNXWeSpeakerPretrainedSpeakerEmbedding):
    """pyannote's handling of masks and filter banks, with PyTorch beneath."""

    def to(self, device: torch.device) -> CamPlusPlusEmbedding:
        self.session_, self.device = TorchSession(Path(self.embedding)), device
        return self


class DefaultPyannote:
    """The pipeline of a bundle that `tools/build_models` wrote, as pyannote runs it."""

    def __init__(self, bundle: Path) -> None:
        config: dict[str, Any] = json.loads((bundle / "config.json").read_text())
        self.pipeline = SpeakerDiarization(
            segmentation=str(bundle / config["segmentation"]),
            plda=str(bundle / config["plda"]),
            # The only choice for which the constructor loads no embedding model by itself: replaced below.
            clustering="OracleClustering",
            embedding_exclude_overlap=config["embedding_exclude_overlap"],
            segmentation_batch_size=config["segmentation_batch_size"],
            embedding_batch_size=config["embedding_batch_size"],
        )
        self.pipeline._embedding = CamPlusPlusEmbedding(str(bundle / config["embedding"]))
        self.pipeline._audio = Audio(sample_rate=SAMPLE_RATE_HZ, mono="downmix")
        self.pipeline.klustering = "AgglomerativeClustering"
        self.pipeline.clustering = AgglomerativeClustering(metric="cosine")
        self.pipeline._expects_num_speakers = False
        self.pipeline.instantiate(config["parameters"])

    def __call__(self, waveform: np.ndarray) -> Diarization:
        """Who speaks when in a waveform, (samples,), float32, 16 kHz."""
        output = self.pipeline(
            {"waveform": torch.from_numpy(waveform)[None], "sample_rate": SAMPLE_RATE_HZ}
        )
        return to_diarization(output, waveform.size / SAMPLE_RATE_HZ)
