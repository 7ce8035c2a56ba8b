"""Multipart bodies, written by hand."""

from __future__ import annotations

from collections.abc import Sequence

BOUNDARY = "----boundary"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def part(name: str, value: bytes | str, file_name: str | None = None) -> bytes:
    disposition = f'form-data; name="{name}"'
    if file_name is not None:
        disposition += f'; filename="{file_name}"'
    value = value.encode() if isinstance(value, str) else value
    return f"Content-Disposition: {disposition}\r\n\r\n".encode() + value


def body(parts: Sequence[bytes], *, boundary: str = BOUNDARY, end: bool = True) -> bytes:
    joined = b"".join(b"--" + boundary.encode() + b"\r\n" + each + b"\r\n" for each in parts)
    return joined + (b"--" + boundary.encode() + b"--\r\n" if end else b"")
