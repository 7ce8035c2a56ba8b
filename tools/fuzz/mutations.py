"""What damage, malice and broken programs do to a file: pure functions of a random source."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable, Sequence

MAX_MUTATIONS = 4
MAX_BYTES = 4_000_000
HEADER_BYTES = 256

# What a field may claim: nothing, the borders of signs and widths, rates, infinities.
NUMBERS = (
    0,
    1,
    2,
    3,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    999,
    1_000,
    7_350,
    384_000,
    384_001,
    60_000_000,
    250_000_000,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFE,
    0xFFFFFFFF,
    0x7FC00000,
    0x7F800000,
    20_000_000,
    0x7FFFFFFFFFFFFFFF,
    0xFFFFFFFFFFFFFFFF,
    0x7FF0000000000000,
)
CHUNK_NAME = re.compile(rb"[A-Za-z][A-Za-z0-9 ]{3}")
TEXTS = (
    b"<html><body>404</body></html>",
    b"#EXTM3U\n",
    b"\r\n--boundary\r\n",
    b"\x00" * 64,
    b"\xff" * 64,
    b"ID3\x03\x00\x00\x7f\x7f\x7f\x7f",
    b"TAG" + b"\xfe" * 125,
    b"APETAGEX" + b"\xff" * 24,
    b"OggS\x00\x02" + b"\xff" * 8,
    b"fLaC",
    b"RIFF\xff\xff\xff\xffWAVE",
    b"%n%s" * 16,
    "\u202e\u0000é".encode(),
)

Mutation = Callable[[bytes, random.Random, bytes], bytes]
"""A file, a random source and another file, to a file."""


def mutate(corpus: Sequence[bytes], number: int) -> bytes:
    """The mutated file of this number: one of the corpus after up to MAX_MUTATIONS mutations."""
    source = random.Random(number)
    payload = source.choice(corpus)
    for _ in range(source.randint(1, MAX_MUTATIONS)):
        mutation = source.choice(MUTATIONS)
        payload = mutation(payload or b"\x00", source, source.choice(corpus))[:MAX_BYTES]
    return payload


def flip_bits(payload: bytes, source: random.Random, _: bytes) -> bytes:
    return _flip(payload, source, len(payload), source.choice((1, 3, 30, 300)))


def flip_header_bits(payload: bytes, source: random.Random, _: bytes) -> bytes:
    return _flip(payload, source, min(HEADER_BYTES, len(payload)), source.choice((1, 2, 8)))


def forge_number(payload: bytes, source: random.Random, _: bytes) -> bytes:
    """Any field, most often one near the beginning, claims another number."""
    limit = len(payload) if source.random() < 0.3 else HEADER_BYTES
    return _write_number(payload, source, source.randrange(min(limit, len(payload))))


def forge_chunk_number(payload: bytes, source: random.Random, _: bytes) -> bytes:
    """The size of a chunk, before its name (MP4) or after it (RIFF), or what follows."""
    names = list(CHUNK_NAME.finditer(payload, 0, HEADER_BYTES * 64))
    if not names:
        return forge_number(payload, source, b"")
    name = source.choice(names)
    offset = source.choice((-4, 4, 8, 12, 16, 20))
    return _write_number(payload, source, max(0, name.start() + offset))


def truncate(payload: bytes, source: random.Random, _: bytes) -> bytes:
    start = source.randrange(len(payload)) if source.random() < 0.2 else 0
    return payload[start : source.randint(start, len(payload))]


def delete_chunk(payload: bytes, source: random.Random, _: bytes) -> bytes:
    start, end = _span(payload, source)
    return payload[:start] + payload[end:]


def repeat_chunk(payload: bytes, source: random.Random, _: bytes) -> bytes:
    start, end = _span(payload, source)
    return payload[:end] + payload[start:end] * source.choice((1, 1, 2, 50)) + payload[end:]


def swap_chunks(payload: bytes, source: random.Random, _: bytes) -> bytes:
    first, second = sorted((_span(payload, source), _span(payload, source)))
    if first[1] > second[0]:
        return payload[::-1]
    between = payload[first[1] : second[0]]
    chunks = payload[slice(*second)], between, payload[slice(*first)]
    return b"".join((payload[: first[0]], *chunks, payload[second[1] :]))


def blank_chunk(payload: bytes, source: random.Random, _: bytes) -> bytes:
    start, end = _span(payload, source)
    filling = source.choice((b"\x00", b"\xff", source.randbytes(1), b"A"))
    return payload[:start] + filling * (end - start) + payload[end:]


def splice(payload: bytes, source: random.Random, other: bytes) -> bytes:
    return payload[: source.randint(0, len(payload))] + other[source.randrange(len(other)) :]


def join(payload: bytes, source: random.Random, other: bytes) -> bytes:
    """Two whole files, one behind the other, or one within the other."""
    at = source.choice((len(payload), len(payload), source.randrange(len(payload))))
    return payload[:at] + other + payload[at:]


def insert_text(payload: bytes, source: random.Random, _: bytes) -> bytes:
    at = source.choice((0, source.randint(0, len(payload)), len(payload)))
    return payload[:at] + source.choice(TEXTS) + payload[at:]


def insert_noise(payload: bytes, source: random.Random, _: bytes) -> bytes:
    at = source.randint(0, len(payload))
    return payload[:at] + source.randbytes(source.choice((1, 7, 500, 20_000))) + payload[at:]


def prepend_tag(payload: bytes, source: random.Random, _: bytes) -> bytes:
    """An ID3 tag with a text and a cover, of which the sizes may be lies."""
    frame = source.choice((b"TIT2", b"APIC", b"TXXX", b"GEOB", b"CHAP"))
    text = source.choice(TEXTS) * source.choice((1, 1, 200))
    size = source.choice((len(text), len(text), 0, 0x0FFFFFFF))
    claimed = source.choice((len(text) + 10, len(text) + 10, 0, 0x0FFFFFFF))
    version = bytes((source.choice((2, 3, 4, 255)), 0, source.choice((0, 0, 0x80, 0xF0))))
    tag = (
        b"ID3" + version + _syncsafe(claimed) + frame + struct.pack(">I", size) + b"\x00\x00" + text
    )
    return tag + payload


MUTATIONS: tuple[Mutation, ...] = (
    flip_bits, flip_header_bits, flip_header_bits, forge_number, forge_number, forge_chunk_number,
    forge_chunk_number, forge_chunk_number, truncate, delete_chunk, repeat_chunk, swap_chunks,
    blank_chunk, splice, join, insert_text, insert_noise, prepend_tag,
)  # fmt: skip


def _flip(payload: bytes, source: random.Random, n_bytes: int, n_flips: int) -> bytes:
    flipped = bytearray(payload)
    for _ in range(n_flips):
        flipped[source.randrange(n_bytes)] ^= 1 << source.randrange(8)
    return bytes(flipped)


def _write_number(payload: bytes, source: random.Random, offset: int) -> bytes:
    width = source.choice((1, 2, 4, 4, 8))
    number = source.choice(NUMBERS) & (1 << 8 * width) - 1
    field = number.to_bytes(width, source.choice(("little", "big")))
    return payload[:offset] + field + payload[offset + width :]


def _span(payload: bytes, source: random.Random) -> tuple[int, int]:
    start = source.randrange(len(payload))
    length = source.choice((1, 4, 64, 1_024, len(payload) // 4))
    return start, min(start + length, len(payload))


def _syncsafe(size: int) -> bytes:
    """28 bits, seven to a byte, as ID3 writes sizes."""
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
