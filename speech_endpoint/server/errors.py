"""What callers are told when something is wrong, in OpenAI's words."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

from speech_endpoint.errors import InvalidRequest, OutOfMemory, printable
from speech_endpoint.service.events import DeadlineExceeded, Overloaded, Unavailable

# Of `InvalidRequest`, in OpenAI's terms; what is said of the file has codes of its own.
CODES = {
    "missing": "missing_required_parameter",
    "invalid_type": "invalid_value",
    "unavailable": "unsupported_value",
    "too_large": "payload_too_large",
}
FILE_CODES = CODES | {
    "missing": "audio_empty",
    "unreadable": "audio_undecodable",
    "too_long": "audio_too_long",
}
MAX_JITTER = 0.2
"""Of a retry's time, so that those who were refused together do not come back together."""


class ApiError(Exception):
    """An answer that is an error."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """
        Args:
            status: of HTTP.
            code: a constant for programs.
            message: what was given and what is allowed, for a person.
            param: the field that is wrong.
            headers: of the answer.
        """
        super().__init__(message)
        self.status, self.code, self.message, self.param = status, code, message, param
        self.headers = dict(headers or {})

    @property
    def type(self) -> str:
        if self.status == 401:
            return "authentication_error"
        if self.status == 403:
            return "permission_error"
        if self.status == 429:
            return "rate_limit_error"
        return "server_error" if self.status >= 500 else "invalid_request_error"

    def body(self) -> dict[str, Any]:
        """OpenAI's, always with all four keys."""
        error = {
            "message": printable(self.message),
            "type": self.type,
            "param": self.param,
            "code": self.code,
        }
        return {"error": error}


class CallerGone(Exception):
    """Nobody waits for the answer any more."""


def to_api_error(error: BaseException, request_id: str) -> ApiError:
    """What a caller is told of an exception: nothing of what it says, if the fault is ours."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, InvalidRequest):
        return _of_invalid(error)
    if isinstance(error, Overloaded):
        return ApiError(429, error.reason, str(error), headers=retry_headers(error.retry_after_s))
    if isinstance(error, Unavailable):
        return ApiError(503, error.reason, str(error), headers=retry_headers(error.retry_after_s))
    never_again = {"x-should-retry": "false"}
    if isinstance(error, DeadlineExceeded):
        return ApiError(504, "deadline_exceeded", str(error), headers=never_again)
    if isinstance(error, OutOfMemory):
        return ApiError(
            500, "internal_error", f"{error} (request {request_id})", headers=never_again
        )
    message = f"the request could not be served; see the server's log (request {request_id})"
    return ApiError(500, "internal_error", message)


def retry_headers(retry_after_s: float) -> dict[str, str]:
    """When to come back: whole seconds, and milliseconds that differ from caller to caller."""
    seconds = max(1, math.ceil(retry_after_s))
    jitter = random.uniform(1 - MAX_JITTER, 1 + MAX_JITTER)
    return {"retry-after": str(seconds), "retry-after-ms": str(round(1000 * seconds * jitter))}


def _of_invalid(error: InvalidRequest) -> ApiError:
    of_file = error.field == "inputs"
    param = "file" if of_file else error.field.removeprefix("parameters.")
    code = (FILE_CODES if of_file else CODES).get(error.code, error.code)
    status = 413 if error.code == "too_large" else 400
    return ApiError(status, code, f"{param}: {error.message}", param=param)
