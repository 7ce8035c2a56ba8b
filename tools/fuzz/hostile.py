"""Small files that ask for much: text that names files and servers, headers that lie."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

from tools.fuzz.bait import Canary
from tools.fuzz.mutations import MUTATIONS, NUMBERS

# Lines around LOCATION, which becomes a name of the canary.
SESSION = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
HLS = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:9\n#EXT-X-MEDIA-SEQUENCE:0\n"
PLAYLISTS = (
    "ffconcat version 1.0\nfile LOCATION\n",
    "ffconcat version 1.0\nfile 'LOCATION'\nduration 1\noption safe 0\n",
    "ffconcat version 1.0\nfile LOCATION\nfile_packet_meta a b\nstream\nexact_stream_id 0x100\n",
    "#EXTM3U\n#EXTINF:8,\nLOCATION\n#EXT-X-ENDLIST\n",
    HLS + "#EXTINF:9.0,\nLOCATION\n#EXT-X-ENDLIST\n",
    HLS + '#EXT-X-KEY:METHOD=AES-128,URI="LOCATION"\n#EXTINF:9,\nLOCATION\n',
    HLS + '#EXT-X-MAP:URI="LOCATION",BYTERANGE="9@0"\n#EXTINF:9,\nLOCATION\n',
    '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="a",URI="LOCATION"\n'
    '#EXT-X-STREAM-INF:AUDIO="a"\nLOCATION\n',
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT8S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011">'
    '<Period><AdaptationSet mimeType="audio/mp4"><Representation id="1"><BaseURL>LOCATION'
    "</BaseURL></Representation></AdaptationSet></Period></MPD>",
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "LOCATION">]>'
    '<svg xmlns="http://www.w3.org/2000/svg"><text>&b;</text><image href="LOCATION"/></svg>',
    '<SmoothStreamingMedia><StreamIndex Type="audio" Url="LOCATION"/></SmoothStreamingMedia>',
    SESSION + "m=audio UDP_PORT RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=control:LOCATION\r\n",
    SESSION + "m=audio TCP_PORT TCP/RTP/AVP 97\r\n",
    "rtsp://127.0.0.1:TCP_PORT/a\n",
    "RTSPtextRTSP://127.0.0.1:TCP_PORT\r\n",
    "LOCATION",
    "file LOCATION\n",
    "[playlist]\nFile1=LOCATION\nLength1=8\n",
    "[Reference]\nRef1=LOCATION\n",
    "ASF LOCATION",
    "<asx version='3.0'><entry><ref href='LOCATION'/></entry></asx>",
    "<smil><body><audio src='LOCATION'/></body></smil>",
    "http_multiple\nimageseq LOCATION\n",
    "BITRATE\n-- tee LOCATION",
    ";FFMETADATA1\ntitle=LOCATION\n",
    "# VobSub index file, v7\nid: en, index: 0\n"
    "timestamp: 00:00:00:000, filepos: 000000000\nLOCATION\n",
    "anullsrc=d=36000",
    "amovie=LOCATION",
    "sine=f=440:d=36000",
    "-i LOCATION -f wav -",
)
PREFIXES = (
    "file:", "file://", "concat:", "subfile,,start,0,end,0,,:", "async:", "cache:", "crypto:",
    "./", "data:audio/wav;base64,", "data:text/plain,", "unix:", "tee:", "md5:", "lavfi:amovie=",
)  # fmt: skip


def hostile(bait: Canary, number: int) -> bytes:
    """The hostile file of this number."""
    source = random.Random(number)
    make: Callable[[Canary, random.Random], bytes] = source.choice(MAKERS)
    payload = make(bait, source)
    if source.random() < 0.2:
        payload = source.choice(MUTATIONS)(payload, source, b"RIFF")
    return payload


def playlist(bait: Canary, source: random.Random) -> bytes:
    text = source.choice(PLAYLISTS).replace("LOCATION", location(bait, source))
    text = text.replace("UDP_PORT", str(bait.udp_port)).replace("TCP_PORT", str(bait.tcp_port))
    return source.choice((b"", b"", b"", b"", b"\xef\xbb\xbf", b"\n")) + text.encode()


def location(bait: Canary, source: random.Random) -> str:
    """One of the names by which the canary could be reached."""
    if source.random() < 0.5:
        name = source.choice((bait.file.name, str(bait.file)))
        return source.choice(("", source.choice(PREFIXES))) + name
    scheme = source.choice(
        ("http", "https", "tcp", "ftp", "rtmp", "hls+http", "rtsp", "gopher", "icecast")
    )
    address = f"{scheme}://127.0.0.1:{bait.tcp_port}/{bait.file.name}"
    datagrams = f"{source.choice(('udp', 'rtp', 'srtp', 'rist'))}://127.0.0.1:{bait.udp_port}"
    return source.choice((address, address, datagrams))


def wav(bait: Canary, source: random.Random) -> bytes:
    """A WAV header whose every field may be a lie, before a little noise."""
    tag = source.choice((1, 3, 6, 7, 2, 0x11, 0x55, 0xFFFE, 0x161, source.choice(NUMBERS) & 0xFFFF))
    rate = source.choice((8_000, 16_000, *(number & 0xFFFFFFFF for number in NUMBERS)))
    channels = source.choice((1, 2, 64, 65, 255, 0, 0xFFFF))
    bits = source.choice((0, 1, 4, 8, 16, 24, 32, 64, 0xFFFF))
    block = source.choice((channels * bits // 8 & 0xFFFF, 0, 1, 0xFFFF))
    noise = source.randbytes(source.choice((0, 16, 4_000)))
    size = source.choice((len(noise), 0, 0x7FFFFFFF, 0xFFFFFFFF))
    layout = struct.pack("<HHIIHH", tag, channels, rate, rate * block & 0xFFFFFFFF, block, bits)
    return b"".join((b"RIFF", struct.pack("<I", size), b"WAVEfmt \x10\0\0\0", layout, b"data",
                     struct.pack("<I", size), noise))  # fmt: skip


def flac(bait: Canary, source: random.Random) -> bytes:
    """A FLAC stream that claims hours, a rate and a block size, and holds a frame or none."""
    block = source.choice((16, 4_096, 0xFFFF))
    rate, channels, bits = source.choice((1, 16_000, 0xFFFFF)), source.randrange(8), 15
    samples = source.choice((0, 24_000, 230_400_000, (1 << 36) - 1))
    packed = rate << 44 | channels << 41 | bits << 36 | samples
    info = struct.pack(">HH", block, block) + bytes(6) + packed.to_bytes(8, "big") + bytes(16)
    # A frame of one constant sample, repeated: 14 bytes give a block each.
    frame = b"\xff\xf8\x79\x08\x00\xff\xff\x00\x00\x00\x00\x00\x00\x00"
    return b"fLaC\x80\x00\x00\x22" + info + frame * source.choice((0, 1, 5_000))


def mp4(bait: Canary, source: random.Random) -> bytes:
    """An MP4 whose track lies in another file, or whose tables claim to be endless."""
    where = location(bait, source).encode() + b"\x00"
    aliases = _box(b"alis", b"\0\0\0\0" + where), _box(b"url ", b"\0\0\0\0" + where)
    references = _box(b"dref", struct.pack(">II", 0, 1) + source.choice(aliases))
    count = source.choice((1, 20_000_000, 0xFFFFFFFF))
    entry = (
        bytes(6)
        + struct.pack(">H", 1)
        + bytes(8)
        + struct.pack(">HHHHI", 1, 16, 0, 0, 16_000 << 16)
    )
    tables = b"".join((
        _box(b"stsd", struct.pack(">II", 0, 1) + _box(b"sowt", entry)),
        _box(b"stts", struct.pack(">IIII", 0, count, count, 1)),
        _box(b"stsc", struct.pack(">IIIII", 0, 1, 1, count, 1)),
        _box(b"stsz", struct.pack(">III", 0, 2, count)),
        _box(b"stco", struct.pack(">III", 0, 1, 8)),
    ))  # fmt: skip
    media = b"".join((
        _box(b"mdhd", struct.pack(">IIIIIHH", 0, 0, 0, 16_000, count, 0, 0)),
        _box(b"hdlr", bytes(8) + b"soun" + bytes(13)),
        _box(b"minf", _box(b"dinf", references) + _box(b"stbl", tables)),
    ))  # fmt: skip
    track = _box(b"tkhd", struct.pack(">IIIII", 1, 0, 0, 1, 0) + bytes(64)) + _box(b"mdia", media)
    brand = source.choice((b"qt  ", b"isom", b"M4A "))
    return _box(b"ftyp", brand + bytes(4) + brand) + _box(b"moov", _box(b"trak", track))


def matroska(bait: Canary, source: random.Random) -> bytes:
    """A Matroska segment that says another file goes before it."""
    where = location(bait, source).encode()
    info = _element(b"\x3c\x83\xab", where) + _element(b"\x3e\x83\xbb", where)
    info += _element(b"\x2a\xd7\xb1", source.choice(NUMBERS).to_bytes(8, "big"))
    head = _element(b"\x42\x82", source.choice((b"matroska", b"webm")))
    return _element(b"\x1a\x45\xdf\xa3", head) + _element(
        b"\x18\x53\x80\x67", _element(b"\x15\x49\xa9\x66", info)
    )


def raw(bait: Canary, source: random.Random) -> bytes:
    """No container at all: noise, one byte over and over, text, a picture, an archive."""
    return source.choice(
        (
            source.randbytes(source.choice((1, 15, 16, 17, 5_000))),
            source.randbytes(1) * source.choice((15, 16, 40_000)),
            b"The quick brown fox. " * 300,
            b"%PDF-1.7\n" * 9,
            b"PK\x03\x04" + bytes(60),
            b"\x1f\x8b\x08" + bytes(60),
            b"\x89PNG\r\n\x1a\n" + bytes(60),
            b"\x7fELF" + bytes(900),
            b"GIF89a" + b"\xff" * 60,
            b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nRIFF\r\n--x--\r\n',
            b'{"inputs": "UklGRg=="}',
        )
    )


MAKERS = (playlist, playlist, playlist, wav, wav, flac, mp4, matroska, raw)


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + name + content


def _element(name: bytes, content: bytes) -> bytes:
    """An EBML element; its size takes eight bytes."""
    return name + (1 << 56 | len(content)).to_bytes(8, "big") + content
