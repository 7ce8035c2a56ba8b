"""What a file's own header says, where FFmpeg does not tell a statement from a guess."""

from __future__ import annotations

import mmap
import struct
from itertools import pairwise

Payload = bytes | mmap.mmap

MPEG_SAMPLE_RATES_HZ = {
    3: (44_100, 48_000, 32_000),
    2: (22_050, 24_000, 16_000),
    0: (11_025, 12_000, 8_000),
}
"""By the version bits of an MPEG audio frame: 1, 2, 2.5."""
MPEG_1 = 3
MONO = 3
MIN_UNKNOWN_WAV_BYTES = 0x7FFF0000
"""What pipes are given for a size is this much or more."""
EBML = b"\x1a\x45\xdf\xa3"


def stated_duration_s(payload: memoryview) -> float | None:
    """The length that the header of a FLAC or MP3 file states, seconds; None where it states none.

    Sources: RFC 9639, section 8.2 (STREAMINFO); the Xing, Info and VBRI headers of MP3 encoders.
    """
    start = _end_of_id3(payload)
    if bytes(payload[start : start + 4]) == b"fLaC":
        return _flac_duration_s(bytes(payload[start : start + 42]))
    return _mp3_duration_s(bytes(payload[start : start + 256]))


def share_of_wav(payload: memoryview) -> float:
    """How much of the samples that a WAV's header states is there; 1 of anything else.

    Who writes to a pipe knows no size, and states none, or the largest there is.
    """
    at, head = 12, bytes(payload[:12])
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return 1.0
    while at + 8 <= len(payload):
        name, size = struct.unpack_from("<4sI", payload, at)
        at += 8
        if name == b"data":
            is_stated = 0 < size < MIN_UNKNOWN_WAV_BYTES
            return min(1.0, (len(payload) - at) / size) if is_stated else 1.0
        at += size + size % 2
    return 1.0


def _end_of_id3(payload: memoryview) -> int:
    """Where the file begins after an ID3v2 tag."""
    if len(payload) < 10 or bytes(payload[:3]) != b"ID3":
        return 0
    size = 0
    for byte in payload[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size


def _flac_duration_s(head: bytes) -> float | None:
    if len(head) < 26 or head[4] & 0x7F:
        return None
    properties = int.from_bytes(head[18:26], "big")
    rate_hz, n_samples = properties >> 44, properties & (1 << 36) - 1
    return n_samples / rate_hz if rate_hz and n_samples else None


def _mp3_duration_s(frame: bytes) -> float | None:
    if len(frame) < 64 or frame[0] != 0xFF or frame[1] & 0xE0 != 0xE0:
        return None
    version, rate_index = frame[1] >> 3 & 3, frame[2] >> 2 & 3
    if version not in MPEG_SAMPLE_RATES_HZ or rate_index == 3:
        return None
    is_mono = frame[3] >> 6 == MONO
    side_bytes = (17 if is_mono else 32) if version == MPEG_1 else (9 if is_mono else 17)
    xing = frame[4 + side_bytes :]
    n_frames = 0
    if xing[:4] in (b"Xing", b"Info") and xing[7] & 1:
        (n_frames,) = struct.unpack_from(">I", xing, 8)
    elif frame[36:40] == b"VBRI":
        (n_frames,) = struct.unpack_from(">I", frame, 36 + 14)
    samples_per_frame = 1152 if version == MPEG_1 else 576
    duration_s = n_frames * samples_per_frame / MPEG_SAMPLE_RATES_HZ[version][rate_index]
    return duration_s or None


def split_joined(payload: Payload) -> list[memoryview]:
    """The files that one payload holds one after the other, as `cat` and recorders join them.

    FFmpeg hears the first WAV alone, and follows no change of rate or channels in the others. What
    does not begin as a WAV, Ogg, FLAC or Matroska file is one piece.
    """
    head = payload[:4]
    if head == b"RIFF":
        starts = _starts_of_wavs(payload)
    elif head == b"OggS":
        starts = _starts_of_ogg_links(payload)
    elif head == b"fLaC":
        # The magic with the header of its first block, 34 bytes of STREAMINFO: no sound has it.
        starts = _occurrences(payload, b"fLaC\x00\x00\x00\x22", b"fLaC\x80\x00\x00\x22")
    elif head == EBML:
        starts = [at for at in _occurrences(payload, EBML) if _names_matroska(payload, at)]
    else:
        starts = []
    bounds = [0, *(start for start in starts if start), len(payload)]
    view = memoryview(payload)
    return [view[start:end] for start, end in pairwise(bounds)]


def _starts_of_wavs(payload: Payload) -> list[int]:
    starts, at = [], 0
    while payload[at : at + 4] == b"RIFF" and payload[at + 8 : at + 12] == b"WAVE":
        starts.append(at)
        (size,) = struct.unpack_from("<I", payload, at + 4)
        if not size:
            break
        # Chunks are padded to even sizes, by some writers and not by others.
        at += 8 + size
        if payload[at : at + 4] != b"RIFF":
            at += 1
    return starts


def _starts_of_ogg_links(payload: Payload) -> list[int]:
    """The first pages of chained Ogg streams (RFC 3533, section 4)."""
    starts, end_of_previous = [], -1
    for at in _occurrences(payload, b"OggS\x00\x02"):
        n_segments = payload[at + 26] if at + 27 <= len(payload) else 0
        # The first pages of several tracks stand side by side and begin one link together.
        if at != end_of_previous:
            starts.append(at)
        end_of_previous = at + 27 + n_segments + sum(payload[at + 27 : at + 27 + n_segments])
    return starts


def _names_matroska(payload: Payload, at: int) -> bool:
    header = payload[at : at + 64]
    return b"webm" in header or b"matroska" in header


def _occurrences(payload: Payload, *patterns: bytes) -> list[int]:
    """Where any of the patterns begins, in order."""
    found = []
    for pattern in patterns:
        at = payload.find(pattern)
        while at >= 0:
            found.append(at)
            at = payload.find(pattern, at + len(pattern))
    return sorted(found)
