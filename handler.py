"""The endpoint: audio in, who said what, when, out.

A Hugging Face Inference Endpoints custom handler. The host calls `EndpointHandler(path)` once and the handler for
each request, one at a time.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import numpy as np

from audio_decoding import decode_audio, payload_bytes
from config import InferenceConfig, ModelSettings
from diarization_utils import Diarizer
from renderings import render
from response import Transcript, build_transcript
from speaker_attribution import attribute_words, split_chunks_at_speaker_changes, spoken_turns
from transcript import SAMPLE_RATE_HZ, AttributedWord, Diarization
from whisper_asr.transcriber import Transcriber, Transcription

logger = logging.getLogger(__name__)


class EndpointHandler:
    """Loads the models that the environment names (see `ModelSettings`) and answers requests."""

    def __init__(self, path: str = "") -> None:
        self.settings = ModelSettings()
        repository = path or "."
        self.transcriber = Transcriber(self.settings, repository)
        self.diarizer = Diarizer.from_settings(self.settings, repository)

    def __call__(self, data: dict[str, Any]) -> dict[str, Any]:
        """Answer one request, `{"inputs": base64 text or bytes, "parameters": {…}}`; README.md has the answer.

        Raises:
            ValueError: what the caller did wrong; the message names the field and what is allowed.
            RuntimeError: what could not be done.
        """
        try:
            return self._answer(data)
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
        waveform = decode_audio(payload, config.sampling_rate, self.settings.max_audio_s)
        decoded = time.perf_counter()
        transcription = self.transcriber(waveform, config)
        transcribed = time.perf_counter()
        diarization = self._diarize(waveform, config, transcription)
        diarized = time.perf_counter()
        transcript = join(transcription, diarization, waveform.size / SAMPLE_RATE_HZ)
        answer = transcript.as_answer(timestamps=config.return_timestamps, warnings=warnings + transcription.warnings)
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
            raise ValueError(
                'inputs: missing; send {"inputs": <base64 audio>, "parameters": {…}} or the audio\'s bytes'
            )
        config, warnings = InferenceConfig.from_parameters(data.get("parameters"))
        if config.diarize and self.diarizer is None:
            raise ValueError(
                "parameters.diarize: true needs a diarization model; set DIARIZATION_MODEL on the endpoint"
            )
        self.transcriber.check(config)
        return config, warnings

    def _diarize(self, waveform: np.ndarray, config: InferenceConfig, heard: Transcription) -> Diarization | None:
        """Who spoke when; None where the request or the endpoint wants no speakers."""
        if self.diarizer is None or config.diarize is False:
            return None
        if not heard.chunks:
            return Diarization((), ())
        return self.diarizer(
            waveform,
            num_speakers=config.num_speakers,
            min_speakers=config.min_speakers,
            max_speakers=config.max_speakers,
        )


def join(transcription: Transcription, diarization: Diarization | None, duration: float) -> Transcript:
    """Give every word its speaker and put the answer together."""
    if diarization is None:
        words = [AttributedWord(word, None, n) for n, chunk in enumerate(transcription.chunks) for word in chunk.words]
        chunks = [(chunk, None) for chunk in transcription.chunks]
        return build_transcript(chunks, [], words, transcription.language, duration)
    words = attribute_words(transcription.chunks, diarization.exclusive_turns)
    return build_transcript(
        split_chunks_at_speaker_changes(words),
        spoken_turns(words, diarization.turns),
        words,
        transcription.language,
        duration,
    )
