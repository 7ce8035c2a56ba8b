"""The endpoint: audio in, who said what, when, out.

A Hugging Face Inference Endpoints custom handler. The host calls `EndpointHandler(path)` once and
the handler for each request; from several threads, requests are served one after the other.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from speech_endpoint.config import ModelSettings
from speech_endpoint.errors import InvalidRequest, OutOfMemory
from speech_endpoint.output.response import to_json
from speech_endpoint.pipeline import SpeechPipeline
from speech_endpoint.reception import Request
from speech_endpoint.request_log import RequestLog


class EndpointHandler:
    """Loads the models that the environment names (see `ModelSettings`) and answers requests."""

    def __init__(self, path: str = "") -> None:
        # PyTorch keeps a pool of workers per calling thread. The host loads in one thread and calls
        # from another: two pools would oversubscribe the cores, 1.5 × slower. Load and run in one.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="models")
        self.pipeline = self._thread.submit(SpeechPipeline, ModelSettings(), path or ".").result()

    def __call__(self, data: dict[str, Any]) -> dict[str, Any]:
        """Answer one request; docs/endpoint.md describes it and the answer.

        Args:
            data: {"inputs": base64 text or bytes, "parameters": {…}}.

        Raises:
            InvalidRequest: the caller's mistake; the message names the field and what is allowed.
            RuntimeError: what could not be done.
        """
        log = RequestLog()
        try:
            return self._thread.submit(self._answer, data, log).result()
        except InvalidRequest as error:
            log.refused(error)
            raise
        except OutOfMemory as error:
            log.failed(error)
            raise
        except Exception as error:
            # The host sends str(error) to the caller and logs no traceback; details stay here.
            log.failed(error)
            raise RuntimeError(
                f"the request could not be served ({type(error).__name__}); "
                f"see the endpoint's log (request {log.id})"
            ) from None

    def _answer(self, data: Any, log: RequestLog) -> dict[str, Any]:
        log.begin()
        request = Request.from_host(data)
        transcript = self.pipeline.run(request)
        answer = to_json(transcript, request.config)
        log.answered(transcript)
        return answer
