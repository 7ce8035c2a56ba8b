"""Requests to an endpoint: what is tried again, for how long, and what an answer's status means."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

from speech_endpoint.cli.recognisers import GivenUp, OnAdvance, ignore
from speech_endpoint.cli.remote.answers import content, read_answer
from speech_endpoint.cli.remote.endpoint_errors import EndpointUnreachable

CONNECT_TIMEOUT_S = 10.0
# An endpoint that scales from zero holds the request until it is up.
READ_TIMEOUT_S = 3600.0
MAX_RETRIES = 5
FIRST_BACKOFF_S, MAX_BACKOFF_S = 1.0, 60.0
RETRIED = frozenset({408, 429, 500, 502, 503, 504})


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

    def post(self, on_advance: OnAdvance = ignore, **body: Any) -> Any:
        """Post, again where that may help, and return the answer's JSON.

        Args:
            on_advance: told how far the recording is, where the endpoint streams.
            **body: as `requests.post` takes it: json=, or data= and files=.

        Raises:
            InvalidRequest: the endpoint refuses this file or these parameters.
            EndpointError: it cannot serve it; see its subclasses.
        """
        for attempt in range(MAX_RETRIES + 1):
            self._wait(0.0)
            is_last = attempt == MAX_RETRIES
            try:
                with self._post(body) as response:
                    answer = read_answer(response, on_advance)
            except requests.RequestException as error:
                # An address without a scheme, or with one that is no web server's, stays so.
                if is_last or isinstance(error, ValueError):
                    raise EndpointUnreachable(f"{self.url} cannot be reached: {error}") from None
                self._wait(Backoff(None, attempt).seconds)
                continue
            if answer.status not in RETRIED or answer.is_final or is_last:
                return content(answer)
            self._wait(Backoff(answer.retry_after, attempt).seconds)
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Let whoever waits for another attempt give up."""
        self._closed.set()

    def _post(self, body: Mapping[str, Any]) -> requests.Response:
        timeout = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
        return requests.post(self.url, headers=self._headers, timeout=timeout, stream=True, **body)

    def _wait(self, seconds: float) -> None:
        if self._closed.wait(seconds):
            raise GivenUp
