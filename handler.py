"""The endpoint: audio in, who said what, when, out.

A Hugging Face Inference Endpoints custom handler. The host calls `EndpointHandler(path)` once and the handler for
each request, one at a time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from speech_endpoint.attribution import attribute_words, words_of_channels, words_without_speakers
from speech_endpoint.audio.decoding import decode_audio, decode_channels, payload_bytes
from speech_endpoint.config import InferenceConfig, ModelSettings
from speech_endpoint.diarization.diarizer import Diarizer
from speech_endpoint.errors import InvalidRequest
from speech_endpoint.output.formats import render
from speech_endpoint.output.response import build_transcript
from speech_endpoint.transcript import SAMPLE_RATE_HZ, AttributedWord, SpeakerTurn
from speech_endpoint.transcription.transcriber import Transcriber, Transcription

logger = logging.getLogger(__name__)


class EndpointHandler:
    """Loads the models that the environment names (see `ModelSettings`) and answers requests."""

    def __init__(self, path: str = "") -> None:
        self.settings = ModelSettings()
        # Every thread that calls PyTorch has worker threads of its own: models loaded in one and called in another,
        # as the host does, have twice as many as there are cores, and take half as long again.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="models")
        self._thread.submit(self._load, path or ".").result()

    def _load(self, repository: str) -> None:
        self.transcriber = Transcriber(self.settings, repository)
        self.diarizer = Diarizer.from_settings(self.settings, repository)

    def __call__(self, data: dict[str, Any]) -> dict[str, Any]:
        """Answer one request, `{"inputs": base64 text or bytes, "parameters": {…}}`; README.md has the answer.

        Raises:
            ValueError: what the caller did wrong; the message names the field and what is allowed.
            RuntimeError: what could not be done.
        """
        try:
            return self._thread.submit(self._answer, data).result()
        except ValueError as error:
            logger.info("request refused: %s", error)
            raise
        except Exception as error:
            # The host sends str(error) to the caller and logs no traceback; details stay here.
            logger.exception("request failed")
            raise RuntimeError(
                f"the request could not be served ({type(error).__name__}); see the endpoint's log"
            ) from None

    def _answer(self, data: dict[str, Any]) -> dict[str, Any]:
        started = time.perf_counter()
        config, warnings = self._validate(data)
        payload = payload_bytes(data["inputs"], self.settings.max_payload_mb * 2**20)
        waveforms = self._decode(payload, config)
        decoded = time.perf_counter()
        heard = [self.transcriber(waveform, config) for waveform in waveforms]
        transcription = Transcription.of_channels(heard)
        transcribed = time.perf_counter()
        words, turns = self._attribute(waveforms, config, heard)
        diarized = time.perf_counter()
        transcript = build_transcript(
            words, turns, transcription.language, waveforms.shape[1] / SAMPLE_RATE_HZ
        )
        answer = transcript.as_answer(
            timestamps=config.return_timestamps, warnings=warnings + transcription.warnings
        )
        if config.response_format != "json":
            answer["content"] = render(transcript, config.response_format)
        answer["timings"] = {
            "decode": round(decoded - started, 3),
            "asr": round(transcribed - decoded, 3),
            "diarization": round(diarized - transcribed, 3),
            "total": round(time.perf_counter() - started, 3),
            **transcription.figures(),
        }
        return answer

    def _validate(self, data: dict[str, Any]) -> tuple[InferenceConfig, list[str]]:
        if not isinstance(data, dict) or data.get("inputs") is None:
            raise InvalidRequest(
                "inputs",
                "missing",
                'missing; send {"inputs": <base64 audio>, "parameters": {…}} or the audio\'s bytes',
            )
        config, warnings = InferenceConfig.from_parameters(data.get("parameters"))
        if config.diarize and self.diarizer is None:
            raise InvalidRequest(
                "parameters.diarize",
                "unavailable",
                "true needs a diarization model; set DIARIZATION_MODEL on the endpoint",
            )
        self.transcriber.check(config)
        return config, warnings

    def _decode(self, payload: bytes, config: InferenceConfig) -> np.ndarray:
        """What is transcribed: (1, samples), or (channels, samples) where every channel is a speaker."""
        limits = config.sampling_rate, self.settings.max_audio_s
        if config.channels == "speakers":
            return decode_channels(payload, *limits)
        return decode_audio(payload, *limits)[None]

    def _attribute(
        self, waveforms: np.ndarray, config: InferenceConfig, heard: list[Transcription]
    ) -> tuple[list[AttributedWord], Sequence[SpeakerTurn] | None]:
        """Every word with its speaker, and who spoke when; no turns where the request or the endpoint wants none."""
        if config.channels == "speakers":
            return words_of_channels([transcription.chunks for transcription in heard])
        chunks = heard[0].chunks
        if self.diarizer is None or config.diarize is False:
            return words_without_speakers(chunks), None
        if not chunks:
            return [], ()
        diarization = self.diarizer(
            waveforms[0],
            num_speakers=config.num_speakers,
            min_speakers=config.min_speakers,
            max_speakers=config.max_speakers,
        )
        return attribute_words(chunks, diarization.exclusive_turns), diarization.turns
