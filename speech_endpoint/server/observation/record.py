"""What is known of a request while it is served: for its log line and the metrics."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.datastructures import Headers
from starlette.types import Scope

from speech_endpoint.transcript import Transcript

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

Stage = Literal["upload", "queue", "decode", "diarize", "send"]


@dataclass
class RequestRecord:
    """Numbers, constants and names of the project's own; nothing of what was sent."""

    id: str
    began: float = field(default_factory=time.perf_counter)
    route: str = "unknown"
    status: int = 0
    stage: Stage = "upload"
    body_bytes: int = 0
    body_complete: bool = False
    response_started: bool = False
    key: str | None = None
    """The first digits of the hash of the caller's key."""
    trace: str | None = None
    error: str | None = None
    """A code or the class of an exception."""
    reject_reason: str | None = None
    task: str = ""
    format: str | None = None
    stream: bool = False
    first_text_s: float | None = None
    queue_s: float | None = None
    transcript: Mapping[str, Any] | None = None
    """Figures of the answer."""
    stages_s: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, scope: Scope) -> RequestRecord:
        """The record of a request, under the caller's id if it is a harmless one."""
        headers = Headers(scope=scope)
        given, trace = headers.get("x-request-id", ""), headers.get("traceparent", "")
        has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        return cls(
            id=given if REQUEST_ID.fullmatch(given) else f"req_{secrets.token_hex(12)}",
            trace=trace if TRACEPARENT.fullmatch(trace) else None,
            body_complete=not has_body,
        )

    @property
    def elapsed_s(self) -> float:
        return time.perf_counter() - self.began

    def heard(self) -> None:
        """Text has come."""
        if self.first_text_s is None:
            self.first_text_s = self.elapsed_s
        self.stage = "decode"

    def answered(self, transcript: Transcript, submitted_s: float) -> None:
        """The transcript is there.

        Args:
            transcript: the result.
            submitted_s: when the request was submitted, seconds after it began.
        """
        self.heard()
        self.stage = "send"
        self.stages_s = transcript.timings_s
        worked_s = transcript.timings_s.get("total", 0.0)
        self.queue_s = max(0.0, self.elapsed_s - submitted_s - worked_s)
        self.transcript = {
            "audio_s": round(transcript.duration_s, 3),
            "speech_s": round(sum(each.end - each.start for each in transcript.segments), 3),
            "language": transcript.language,
            "speakers": len({turn.speaker for turn in transcript.turns}),
            "warnings": len(transcript.warnings),
            **{name: round(value, 3) for name, value in transcript.stats.items()},
        }


def record_of(scope: Scope) -> RequestRecord:
    """The record that the outermost middleware made."""
    record: RequestRecord = scope["state"]["record"]
    return record
