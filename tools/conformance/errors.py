"""Refusals: rules A-5, A-15, A-16, A-17."""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import urlsplit

import requests

from tools.conformance.row import Row, expect
from tools.conformance.target import NO_FILE, ROUTE, TIMEOUT_S, Fields, Target, answered

KEYS = {"message", "type", "param", "code"}
BAD_VALUES = (
    ("response_format", "xml"),
    ("language", "klingon"),
    ("timestamp_granularities[]", "letter"),
    ("stream", "perhaps"),
    ("chunking_strategy", "sometimes"),
)
BAD_TEMPERATURES = (("temperature", "7"), ("temperature", "warm"))
TOO_MANY_BYTES = 2**42
ANSWER_S = 15.0


def bad_values(target: Target) -> None:
    expect_refused(target, BAD_VALUES)


def bad_temperatures(target: Target) -> None:
    expect_refused(target, BAD_TEMPERATURES)


def expect_refused(target: Target, fields: Fields) -> None:
    """Each by itself, with 400 and the field's name."""
    wrong = []
    for name, value in fields:
        response = target.post([("model", "whisper-1"), (name, value)])
        error = error_of(response) if response.status_code == 400 else {}
        plain = name.removesuffix("[]")
        if str(error.get("param")).removesuffix("[]") != plain or plain not in str(error):
            wrong.append(f"{name}={value}: {response.status_code}")
    expect(not wrong, ", ".join(wrong))


def undecodable(target: Target) -> None:
    response = target.post([("model", "whisper-1")], file=b"no recording at all" * 50)
    expect_error(response, 400, "file")


def empty(target: Target) -> None:
    expect_error(target.post([("model", "whisper-1")], file=b""), 400, "file")


def no_file(target: Target) -> None:
    expect_error(target.post([("model", "whisper-1")], file=NO_FILE), 400, "file")


def unknown_url(target: Target) -> None:
    expect_error(target.get("/v1/audio/nonsense"), 404)


def wrong_method(target: Target) -> None:
    response = target.get(ROUTE)
    expect_error(response, 405)
    expect("POST" in response.headers.get("allow", ""), "no Allow")


def no_form(target: Target) -> None:
    response = requests.post(
        target.url + ROUTE, json={"model": "whisper-1"}, headers=target.headers, timeout=TIMEOUT_S
    )
    expect_error(response, 415)


def too_large(target: Target) -> None:
    """Who asks with Expect: 100-continue is told before the first byte of the body."""
    address = urlsplit(target.url)
    lines = (
        f"POST {ROUTE} HTTP/1.1", f"Host: {address.netloc}", f"Authorization: Bearer {target.key}",
        "Content-Type: multipart/form-data; boundary=x", f"Content-Length: {TOO_MANY_BYTES}",
        "Expect: 100-continue", "", "",
    )  # fmt: skip
    port = address.port or 80
    with socket.create_connection((address.hostname or "", port), ANSWER_S) as connection:
        connection.sendall("\r\n".join(lines).encode())
        status = connection.recv(65_536).partition(b"\r\n")[0].decode()
    expect(" 413" in status, f"4 TiB: {status}")


def limits(target: Target) -> None:
    answer = answered(target.get("/v1/limits"))
    expect(answer.get("max_file_bytes", 0) > 0, "no max_file_bytes")


def expect_error(response: requests.Response, status: int, param: str | None = None) -> None:
    """A refusal in OpenAI's shape."""
    expect(response.status_code == status, f"{response.status_code} {response.text[:100]}")
    error = error_of(response)
    expect(set(error) >= KEYS, f"keys of the error: {', '.join(error) or response.text[:80]}")
    if param is not None:
        expect(error["param"] == param, f"param is {error['param']!r}")


def error_of(response: requests.Response) -> dict[str, Any]:
    """The error's object; empty if there is none."""
    try:
        error = response.json()["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return error if isinstance(error, dict) else {}


ROWS = (
    Row("openai", "A-5", "bad values: 400, and `param` says which", bad_values),
    Row("openai", "A-5", "temperatures beyond 0 to 1: 400, `param`", bad_temperatures),
    Row("openai", "A-15", "not audio: 400, `error` with all keys", undecodable),
    Row("openai", "A-15", "an empty file: 400", empty),
    Row("openai", "A-15", "no file: 400", no_file),
    Row("openai", "A-15", "4 TiB: 413 before the body", too_large),
    Row("openai", "A-16", "another URL: 404, `error`", unknown_url),
    Row("openai", "A-16", "another method: 405, `error`, Allow", wrong_method),
    Row("openai", "A-16", "no form: 415, `error`", no_form),
    Row("openai", "A-17", "`/v1/limits` (extension)", limits),
)
