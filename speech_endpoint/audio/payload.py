"""From the `inputs` of a request to the bytes of a file."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from speech_endpoint.errors import InvalidRequest

LINE_BREAKS = b"\r\n\t\v\f"
URL_SAFE_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
# From a run's first blank alone: from each of them the search would take quadratic time.
BLANKS_AT_LINE_BREAKS = re.compile(rb"(?<! ) *[\r\n\t\v\f][ \r\n\t\v\f]*")


def payload_bytes(inputs: Any, max_bytes: int) -> bytes:
    """The bytes of the audio file that `inputs` holds.

    Args:
        inputs: bytes, or base64 text: standard or URL-safe, with or without padding, line breaks or
            a `data:…;base64,` prefix.
        max_bytes: the largest audio file.

    Raises:
        InvalidRequest: empty, not base64, of another type, or more than `max_bytes`.
    """
    check_type(inputs)
    if isinstance(inputs, (bytes, bytearray, memoryview)):
        _check_size(memoryview(inputs).nbytes, max_bytes)
        payload = bytes(inputs)
    else:
        payload = _from_base64(inputs, max_bytes)
        _check_size(len(payload), max_bytes)
    if not payload:
        raise invalid_inputs(
            "missing", "empty; give the bytes of an audio file, or their base64 text"
        )
    return payload


def check_type(inputs: Any) -> None:
    """Raise InvalidRequest for what is neither bytes nor text."""
    if not isinstance(inputs, (bytes, bytearray, memoryview, str)):
        raise invalid_inputs(
            "invalid_type",
            f"expected base64 text or bytes of an audio file, got {type(inputs).__name__}",
        )


def _check_size(n_bytes: int, max_bytes: int) -> None:
    if n_bytes > max_bytes:
        raise invalid_inputs(
            "too_large", f"{n_bytes:,} bytes of audio; at most {max_bytes:,} are allowed"
        )


def invalid_inputs(code: str, message: str) -> InvalidRequest:
    """The error for audio that cannot be used; see `InvalidRequest` for the codes."""
    return InvalidRequest("inputs", code, message)


def _from_base64(text: str, max_bytes: int) -> bytes:
    # Before any copy of it is made: base64 takes 4/3 of the bytes, line breaks a little more.
    if len(text) > max_bytes * 1.5 + 1024:
        raise invalid_inputs(
            "too_large",
            f"{len(text):,} characters of base64; at most {max_bytes:,} bytes of audio are allowed",
        )
    try:
        digits = _base64_digits(text)
        return base64.b64decode(digits + b"=" * (-len(digits) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise invalid_inputs(
            "invalid_value",
            "the text is not valid base64 (expected the base64 of an audio file, "
            "in a form or a query with each + as %2B)",
        ) from None


def _base64_digits(text: str) -> bytes:
    """The digits of base64 text, in the standard alphabet, without padding.

    Raises:
        ValueError: characters that are not ASCII, or a data URL that is not base64.
    """
    head, comma, _ = text[:256].lstrip().partition(",")
    if head[:5].lower() == "data:":
        if not comma or not head.lower().endswith(";base64"):
            raise ValueError("a data URL without ;base64,")
        text = text[text.index(",") + 1 :]
    digits = text.encode("ascii").strip()
    if b" " in digits:
        # Blanks go with the line breaks that they stand beside. A blank elsewhere was a + before it
        # went through a form or a query; without it all that follows would be shifted by six bits.
        digits = BLANKS_AT_LINE_BREAKS.sub(b"", digits).replace(b" ", b"+")
    return digits.translate(URL_SAFE_TO_STANDARD, delete=LINE_BREAKS).rstrip(b"=")
