"""The server's log: a line a request, as JSON or as key=value pairs."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any, Literal

from speech_endpoint.server.observation.record import RequestRecord

logger = logging.getLogger(__name__)


def log_request(record: RequestRecord) -> None:
    """Write a request's line: numbers, constants and names of the project's own."""
    fields: dict[str, Any] = {
        "id": record.id,
        "route": record.route,
        "status": record.status,
        "total_s": round(record.elapsed_s, 3),
        "bytes": record.body_bytes,
        "stage": record.stage,
        "key": record.key,
        "trace": record.trace,
        "error": record.error,
    }
    if record.task:
        fields |= {
            "task": record.task,
            "format": record.format,
            "stream": record.stream,
            "queue_s": _rounded(record.queue_s),
            "first_text_s": _rounded(record.first_text_s),
            **(record.transcript or {}),
            **{f"{name}_s": round(value, 3) for name, value in record.stages_s.items()},
            # Of the whole request, not of the work alone.
            "total_s": round(record.elapsed_s, 3),
        }
    present = {name: value for name, value in fields.items() if value is not None}
    logger.info("request", extra={"fields": present})


def set_up_logging(log_format: Literal["json", "text"]) -> None:
    """Have everything that is logged written to stderr in one format."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # It quotes what it cannot read of a form.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


class JsonFormatter(logging.Formatter):
    """An object a line."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {"ts": _timestamp(record), "level": record.levelname, **_fields(record)}
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry)


class TextFormatter(logging.Formatter):
    """key=value pairs, as logfmt has them."""

    def format(self, record: logging.LogRecord) -> str:
        fields = _fields(record)
        message = str(fields.pop("message"))
        pairs = (f"{name}={value}" for name, value in fields.items() if name != "logger")
        line = " ".join([_timestamp(record), record.levelname, message, *pairs])
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = getattr(record, "fields", {})
    return {"logger": record.name, "message": record.getMessage(), **fields}


def _timestamp(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
