"""HTTP by hand, for what clients do not do of their own accord."""

from __future__ import annotations

import socket

from forms import CONTENT_TYPE, body, part

ROUTE = "/v1/audio/transcriptions"


def head(port: int, length: int | None, *more: str) -> bytes:
    lines = [
        f"POST {ROUTE} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        f"Content-Type: {CONTENT_TYPE}",
        "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.settimeout(30)
    return connection


def read_until(connection: socket.socket, mark: bytes) -> bytes:
    data = b""
    while mark not in data:
        more = connection.recv(65_536)
        assert more, data
        data += more
    return data


def read_all(connection: socket.socket) -> bytes:
    data = b""
    while more := connection.recv(65_536):
        data += more
    return data


def request(port: int, *parts: bytes) -> bytes:
    """A whole request; a file alone if no parts are given."""
    form = body(list(parts) or [part("file", b"RIFF", "a.wav")])
    return head(port, len(form)) + form
