"""Transcribing with models in this process."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from speech_endpoint.config import ModelSettings
from speech_endpoint.parameters import InferenceConfig
from speech_endpoint.transcript import Transcript


class LocalRecogniser:
    """The models that the environment names (`ModelSettings`)."""

    max_jobs = 1

    def __init__(self, settings: ModelSettings) -> None:
        """
        Raises:
            ModelUnavailable: a model cannot be loaded.
        """
        # Only here: the command's help, and work at an endpoint, need no PyTorch.
        from speech_endpoint.pipeline import SpeechPipeline

        # Load and run in one thread: PyTorch keeps a pool of workers for each that calls it.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="models")
        self._pipeline = self._thread.submit(SpeechPipeline, settings).result()
        self.description = f"{settings.asr_model} {settings.diarization_model or ''}".strip()

    def transcribe(self, audio: bytes, parameters: Mapping[str, Any]) -> Transcript:
        """As `Recogniser.transcribe`."""
        from speech_endpoint.pipeline import Request

        config, warnings = InferenceConfig.from_parameters(dict(parameters))
        request = Request(audio, config, tuple(warnings))
        return self._thread.submit(self._pipeline.run, request).result()

    def close(self) -> None:
        """As `Recogniser.close`."""
        self._thread.shutdown(wait=False, cancel_futures=True)
