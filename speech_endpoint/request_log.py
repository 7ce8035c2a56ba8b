"""One line a request in the log: what was done and how long it took, nothing of what was sent."""

from __future__ import annotations

import logging
import secrets
import time
import traceback

from speech_endpoint.errors import InvalidRequest, printable
from speech_endpoint.transcript import Transcript

logger = logging.getLogger(__name__)

MAX_TRACEBACK_LINE_CHARACTERS = 300


class RequestLog:
    """A request's line: `request` and key=value pairs, as logfmt has them.

    Values are numbers, constants and names of the project's own, so that no request can forge a
    line or leave words in the log.
    """

    def __init__(self) -> None:
        self.id = secrets.token_hex(6)
        self._arrived = self._began = time.perf_counter()

    def begin(self) -> None:
        """Say that the request's turn has come; until then it waits."""
        self._began = time.perf_counter()

    def answered(self, transcript: Transcript) -> None:
        seconds = {"audio": transcript.duration_s, **transcript.timings_s}
        del seconds["total"]
        stages = {f"{name}_s": f"{value:.3f}" for name, value in seconds.items()}
        logger.info(self._line("answered", **stages))

    def refused(self, error: InvalidRequest) -> None:
        name = type(error).__name__
        logger.info(self._line("refused", error=name, field=error.field, code=error.code))

    def failed(self, error: Exception) -> None:
        """Log the line, and the traceback as an entry of its own."""
        logger.error(self._line("failed", error=type(error).__name__))
        logger.error("request id=%s traceback\n%s", self.id, _traceback(error))

    def _line(self, outcome: str, **fields: str) -> str:
        now = time.perf_counter()
        fields = {
            "id": self.id,
            "outcome": outcome,
            **fields,
            "wait_s": f"{self._began - self._arrived:.3f}",
            "total_s": f"{now - self._arrived:.3f}",
        }
        return " ".join(["request", *(f"{name}={value}" for name, value in fields.items())])


def _traceback(error: Exception) -> str:
    """A traceback each line of which is marked as one, whatever the messages in it hold."""
    lines = "".join(traceback.format_exception(error)).splitlines()
    return "\n".join(f"  | {printable(line[:MAX_TRACEBACK_LINE_CHARACTERS])}" for line in lines)
