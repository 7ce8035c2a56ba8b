"""Bytes without a container: 16-bit PCM, or something that is no audio at all."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

BYTES_PER_SAMPLE = 2
MIN_BYTES = 16
"""Eight samples: fewer cannot be told from any other bytes."""
HEAD_BYTES = 4_096
MIN_TEXT_SHARE = 0.95
"""Of printable characters, from which bytes are text; sound of any level has less than 60 %."""
PRINTABLE = string.printable.encode()
BLOCK_SAMPLES = 1 << 20

OTHER_FILES = {
    "a picture": (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*"),
    "an archive": (
        *(b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\0"),
        *(b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"\x28\xb5\x2f\xfd"),
    ),
    "a document": (b"%PDF-", b"\xd0\xcf\x11\xe0\xa1\xb1", b"{\\rtf"),
    "a program": (b"\x7fELF", b"\xcf\xfa\xed\xfe"),
    "a database": (b"SQLite format 3\0",),
}
"""What their files begin with. FFmpeg's own guess does not serve: of speech as PCM it takes 2 % for
some picture or subtitle."""

AUDIO_FILES = (b"ID3", b"RIFF", b"fLaC", b"OggS", b"#!AMR", b"FORM", b"caff", b"\x1a\x45\xdf\xa3")
"""What audio files begin with; those that FFmpeg cannot open are damaged."""

FORM = re.compile(rb"\A--[^\r\n]+\r\nContent-Disposition:", re.IGNORECASE)
BASE64 = re.compile(rb"[A-Za-z0-9+/_=\s-]+")


def why_not_pcm(payload: memoryview) -> str | None:
    """Why these bytes are not 16-bit PCM, for their sender; None if they look like it."""
    head = bytes(payload[:HEAD_BYTES])
    if FORM.match(head):
        return (
            "a multipart form, not audio; send the file's bytes themselves, or their base64 as JSON"
        )
    for name, beginnings in OTHER_FILES.items():
        if head.startswith(beginnings):
            return f"{name}, not audio"
    if head.startswith(b"BM") and int.from_bytes(head[2:6], "little") == len(payload):
        return "a picture, not audio"
    if len(head) >= MIN_BYTES and _is_text(head):
        return f"text, not audio{_kind_of_text(head)}"
    is_damaged = head.startswith(AUDIO_FILES) or head[4:8] == b"ftyp"
    if is_damaged or len(payload) < MIN_BYTES or not _looks_like_sound(payload):
        return (
            "not an audio file FFmpeg can read, nor 16-bit PCM "
            "(text, or a file that is damaged or cut short before its audio begins?)"
        )
    return None


def _is_text(head: bytes) -> bool:
    n_printable = len(head) - len(head.translate(None, delete=PRINTABLE))
    if n_printable >= MIN_TEXT_SHARE * len(head):
        return True
    try:
        text = head[: len(head) - 3].decode()
    except UnicodeDecodeError:
        return False
    return sum(map(str.isprintable, text)) >= MIN_TEXT_SHARE * len(text)


def _kind_of_text(head: bytes) -> str:
    start = head.lstrip()[:1]
    if start == b"<":
        return " (a web page or an error in place of a recording?)"
    if start in (b"{", b"["):
        return " (JSON; send it with Content-Type: application/json)"
    if BASE64.fullmatch(head):
        return " (base64, of base64, or sent as if it were bytes?)"
    return ""


def _looks_like_sound(payload: memoryview) -> bool:
    """Whether neighbouring samples are alike: those of sound are, packed data are not.

    Nothing but zeros is silence; any other byte or sample over and over is nothing.
    """
    n = sum_ = squares = differences = 0.0
    for block in blocks(payload):
        samples = block.astype(np.float64)
        n += samples.size
        sum_ += float(samples.sum())
        squares += float(np.dot(samples, samples))
        steps = np.diff(samples)
        differences += float(np.dot(steps, steps))
    if squares == 0:
        return True
    variance = squares - sum_ * sum_ / n
    return variance > 1e-9 * squares and differences < variance


def blocks(
    payload: memoryview, block_samples: int = BLOCK_SAMPLES
) -> Iterator[npt.NDArray[np.int16]]:
    """The 16-bit samples of a payload, block by block; an odd last byte is left out."""
    n = len(payload) // BYTES_PER_SAMPLE
    for first in range(0, n, block_samples):
        count = min(block_samples, n - first)
        yield np.frombuffer(payload, "<i2", count=count, offset=first * BYTES_PER_SAMPLE)
