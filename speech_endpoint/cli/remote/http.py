"""Requests to an endpoint: what is tried again, for how long, and what an answer's status means."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

from speech_endpoint.cli.remote.endpoint_errors import (
    EndpointError,
    EndpointOverloaded,
    EndpointUnreachable,
)
from speech_endpoint.errors import InvalidRequest

CONNECT_TIMEOUT_S = 10.0
# An endpoint that scales from zero holds the request until it is up.
READ_TIMEOUT_S = 3600.0
MAX_RETRIES = 5
FIRST_BACKOFF_S, MAX_BACKOFF_S = 1.0, 60.0
RETRIED = frozenset({408, 429, 500, 502, 503, 504})
KEY_REFUSED = frozenset({401, 403})
CALLERS_FAULT = frozenset({400, 411, 413, 415, 422})


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before a request is tried again."""

    retry_after: str | None
    """Of the refusal: what its header says."""
    attempt: int
    """0 for the first."""

    @property
    def seconds(self) -> float:
        """What the endpoint asks for, else twice as long each time; no two callers alike."""
        try:
            asked = float(self.retry_after or "")
        except ValueError:
            asked = FIRST_BACKOFF_S * 2.0**self.attempt
        return min(asked, MAX_BACKOFF_S) * random.uniform(1.0, 1.2)


class EndpointClient:
    """Posts to one endpoint. May be used from several threads."""

    def __init__(self, url: str, key: str | None, headers: Mapping[str, str] | None = None) -> None:
        """
        Args:
            url: where to post.
            key: sent as a bearer token; None: none.
            headers: more of them.
        """
        self.url = url
        self._headers = dict(headers or {})
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._closed = threading.Event()

    def post(self, **body: Any) -> Any:
        """Post, again where that may help, and return the answer's JSON.

        Args:
            **body: as `requests.post` takes it: json=, or data= and files=.

        Raises:
            InvalidRequest: the endpoint refuses this file or these parameters.
            EndpointError: it cannot serve it; see its subclasses.
        """
        for attempt in range(MAX_RETRIES + 1):
            is_last = attempt == MAX_RETRIES
            try:
                response = self._post(body)
            except requests.RequestException as error:
                if is_last or isinstance(error, requests.exceptions.InvalidURL):
                    raise EndpointUnreachable(f"{self.url} cannot be reached: {error}") from None
                self._wait(Backoff(None, attempt).seconds)
                continue
            if response.status_code not in RETRIED or is_last:
                return _content(response)
            self._wait(Backoff(response.headers.get("Retry-After"), attempt).seconds)
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Let whoever waits for another attempt give up."""
        self._closed.set()

    def _post(self, body: Mapping[str, Any]) -> requests.Response:
        timeout = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
        return requests.post(self.url, headers=self._headers, timeout=timeout, **body)

    def _wait(self, seconds: float) -> None:
        if self._closed.wait(seconds):
            raise EndpointError("given up")


def _content(response: requests.Response) -> Any:
    status = response.status_code
    if status == requests.codes.ok:
        try:
            return response.json()
        except ValueError:
            raise EndpointError(f"{response.url} answers no JSON") from None
    message = _message(response)
    if status in CALLERS_FAULT:
        raise InvalidRequest("request", "refused", message)
    if status in KEY_REFUSED:
        raise EndpointUnreachable(
            f"{response.url} refuses the key ({status}); set SPEECH_API_KEY or HF_TOKEN"
        )
    if status in (429, 503):
        raise EndpointOverloaded(f"{response.url} has no room ({status}): {message}")
    if status in (404, 405):
        raise EndpointUnreachable(f"{response.url}: no speech endpoint there ({status})")
    raise EndpointError(f"{response.url} answers {status}: {message}")


def _message(response: requests.Response) -> str:
    """What an error's body says, in the host's shape or in OpenAI's."""
    try:
        error = response.json()["error"]
    except (ValueError, KeyError, TypeError):
        return response.text[:200].strip() or response.reason
    return str(error.get("message", error) if isinstance(error, dict) else error)
