"""The endpoint: audio in, who said what, when, out.

A Hugging Face Inference Endpoints custom handler. The host calls `EndpointHandler(path)` once and
the handler for each request, one at a time.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from speech_endpoint.attribution import Attribution, attribute, attribute_channels
from speech_endpoint.audio.decoding import decode_audio, decode_channels, payload_bytes
from speech_endpoint.config import InferenceConfig, ModelSettings
from speech_endpoint.diarization.diarizer import Diarizer
from speech_endpoint.errors import InvalidRequest
from speech_endpoint.output.response import to_json
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Transcript
from speech_endpoint.transcription.transcriber import Transcriber, Transcription

logger = logging.getLogger(__name__)


class EndpointHandler:
    """Loads the models that the environment names (see `ModelSettings`) and answers requests."""

    def __init__(self, path: str = "") -> None:
        self.settings = ModelSettings()
        # PyTorch keeps a pool of workers for each calling thread. The host loads in one thread and
        # calls from another: two pools oversubscribe the cores and take half as long again. Here
        # one thread loads and runs everything.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="models")
        self._thread.submit(self._load, path or ".").result()

    def _load(self, repository: str) -> None:
        self.transcriber = Transcriber(self.settings, repository)
        self.diarizer = Diarizer.from_settings(self.settings, repository)

    def __call__(self, data: dict[str, Any]) -> dict[str, Any]:
        """Answer one request, `{"inputs": base64 text or bytes, "parameters": {…}}`.

        README.md, "The answer", describes what is returned.

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
        started_at = time.perf_counter()
        config, warnings = self._validate(data)
        payload = payload_bytes(data["inputs"], self.settings.max_payload_mb * 2**20)
        waveforms = self._decode(payload, config)
        decoded_at = time.perf_counter()
        transcriptions = [self.transcriber(waveform, config) for waveform in waveforms]
        whole = Transcription.of_channels(transcriptions)
        transcribed_at = time.perf_counter()
        attribution = self._attribute(waveforms, config, transcriptions)
        diarized_at = time.perf_counter()
        transcript = Transcript(
            segments=attribution.segments,
            turns=attribution.turns,
            speaker_turns=attribution.speaker_turns,
            language=whole.language,
            duration_s=waveforms.shape[1] / SAMPLE_RATE_HZ,
            warnings=(*warnings, *whole.warnings),
            timings_s={
                "decode": decoded_at - started_at,
                "asr": transcribed_at - decoded_at,
                "diarization": diarized_at - transcribed_at,
                "total": diarized_at - started_at,
                **whole.timings_s,
            },
            stats=whole.stats(),
        )
        return to_json(transcript, config)

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
        """The waveforms to transcribe: (1, samples), or (channels, samples) of one speaker each."""
        limits = config.sampling_rate, self.settings.max_audio_s
        if config.channels == "speakers":
            return decode_channels(payload, *limits)
        return decode_audio(payload, *limits)[None]

    def _attribute(
        self,
        waveforms: np.ndarray,
        config: InferenceConfig,
        transcriptions: list[Transcription],
    ) -> Attribution:
        """Segments with their speakers; no turns where the request or the endpoint wants none."""
        if config.channels == "speakers":
            return attribute_channels([channel.segments for channel in transcriptions])
        segments = transcriptions[0].segments
        if not segments or self.diarizer is None or config.diarize is False:
            return Attribution(tuple(segments), (), ())
        diarization = self.diarizer(
            waveforms[0],
            num_speakers=config.num_speakers,
            min_speakers=config.min_speakers,
            max_speakers=config.max_speakers,
        )
        return attribute(segments, diarization)
