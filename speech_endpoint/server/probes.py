"""What balancers, platforms and dashboards ask, none of whom waits for the engine."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from speech_endpoint.server.openai.fields import FORMATS, STREAMED_FORMATS
from speech_endpoint.server.uploads.form import (
    MAX_LONG_TEXT_BYTES,
    MAX_PARTS,
    MAX_TEXT_BYTES,
)
from speech_endpoint.server.work import Desk

MAX_HEARTBEAT_AGE_S = 120.0
"""No unit of work takes so long: older, the engine is stuck."""
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class Probes:
    """`GET /health`, /ready, /ping, /metrics, /v1/limits."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def health(self, request: HttpRequest) -> Response:
        """200 while the process is of use: loading counts, a stuck engine does not."""
        status = self.desk.service.status()
        loading = status.stage in ("loading", "warming_up")
        stuck = not loading and status.heartbeat_age_s > MAX_HEARTBEAT_AGE_S
        healthy = not stuck and status.stage != "failed"
        answer = {
            "status": "ok" if healthy else "stuck" if stuck else "failed",
            "stage": status.stage,
            "heartbeat_age_s": round(status.heartbeat_age_s, 3),
        }
        return JSONResponse(answer, 200 if healthy else 503)

    async def ready(self, request: HttpRequest) -> Response:
        """200 while requests are served."""
        status = self.desk.service.status()
        ready = status.stage == "ready"
        answer: dict[str, Any] = {"status": status.stage, "detail": status.detail}
        headers = None if ready else {"retry-after": "5"}
        return JSONResponse(answer, 200 if ready else 503, headers)

    async def ping(self, request: HttpRequest) -> Response:
        """SageMaker's and RunPod's probe: 200 ready, 204 not yet."""
        stage = self.desk.service.status().stage
        if stage == "failed":
            return Response(status_code=503)
        return Response(status_code=200 if stage == "ready" else 204)

    async def metrics(self, request: HttpRequest) -> Response:
        return Response(self.desk.metrics.text(), media_type=PROMETHEUS)

    async def limits(self, request: HttpRequest) -> Response:
        """What a request may be."""
        settings = self.desk.settings
        diarizes = settings.diarization_model is not None
        return JSONResponse(
            {
                "max_file_bytes": self.desk.max_file_bytes,
                "max_audio_s": settings.max_audio_s if settings.max_audio_s < 1e12 else None,
                "max_parts": MAX_PARTS,
                "max_text_bytes": MAX_TEXT_BYTES,
                "max_reference_bytes": MAX_LONG_TEXT_BYTES,
                "max_requests": settings.max_requests,
                "max_wait_s": settings.max_wait_s,
                "request_timeout_s": settings.request_timeout_s,
                "response_formats": list(FORMATS),
                "streamed_formats": list(STREAMED_FORMATS),
                "diarization": diarizes,
                "known_speakers": diarizes
                and not settings.disable_speaker_id
                and self.desk.service.status().compares_voices,
            }
        )
