"""The endpoint: audio in, who said what, when, out.

A Hugging Face Inference Endpoints custom handler. The host calls `EndpointHandler(path)` once and
the handler for each request, one at a time.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from speech_endpoint.config import ModelSettings
from speech_endpoint.output.response import to_json
from speech_endpoint.pipeline import Request, SpeechPipeline

logger = logging.getLogger(__name__)


class EndpointHandler:
    """Loads the models that the environment names (see `ModelSettings`) and answers requests."""

    def __init__(self, path: str = "") -> None:
        # PyTorch keeps a pool of workers per calling thread. The host loads in one thread and calls
        # from another: two pools would oversubscribe the cores, 1.5 × slower. Load and run in one.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="models")
        self.pipeline = self._thread.submit(SpeechPipeline, ModelSettings(), path or ".").result()

    def __call__(self, data: dict[str, Any]) -> dict[str, Any]:
        """Answer one request; README.md describes it and the answer.

        Args:
            data: {"inputs": base64 text or bytes, "parameters": {…}}.

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
        request = Request.from_host(data)
        transcript = self.pipeline.run(request)
        logger.info(
            "answered: %.1f s of audio in %.2f s",
            transcript.duration_s,
            transcript.timings_s["total"],
        )
        return to_json(transcript, request.config)
