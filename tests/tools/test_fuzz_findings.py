"""What the fuzzer found once, as small as it can be, is refused or served as it should be."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from hypothesis import given, settings

from speech_endpoint.errors import InvalidRequest
from speech_endpoint.reception import Request
from tools.fuzz import target
from tools.fuzz.bait import FILE_NAME, Canary, canary
from tools.fuzz.requests import VALUES, nested
from tools.fuzz.seeds import corpus, encode, speech
from tools.fuzz.watch import Bounds, Watch, watched

pytestmark = pytest.mark.pure


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    bounds = Bounds(max_s=5.0, max_grown_mb=128.0)
    with (
        canary(corpus()[0]) as bait,
        watched(target.decoding, bait, bounds, tmp_path_factory.mktemp("findings")) as watch,
    ):
        yield watch


def wav_of_any_rate(rate_hz: int) -> bytes:
    """A-law at a rate that nothing has: resampling it took half a gigabyte."""
    layout = struct.pack("<HHIIHH", 6, 1, rate_hz, rate_hz, 1, 8)
    return (
        b"RIFF\xff\xff\xff\x7fWAVEfmt \x10\0\0\0"
        + layout
        + b"data\xff\xff\xff\x7f"
        + b"\xd5" * 4_000
    )


def session(bait: Canary) -> bytes:
    """A session description: FFmpeg bound the port and waited 20 s for packets."""
    return (
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=audio {bait.udp_port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
    ).encode()


def test_a_rate_that_nothing_has_is_refused_before_memory_is_taken(watch: Watch) -> None:
    for rate_hz in (0x7F800000, 250_000_000, 999):
        assert watch.ask(wav_of_any_rate(rate_hz)).outcome == "refused: unreadable"


def test_a_list_of_files_and_a_session_are_refused_at_once(watch: Watch) -> None:
    playlist = f"ffconcat version 1.0\nfile {FILE_NAME}\n".encode()
    for payload in (playlist, session(watch.bait)):
        assert watch.ask(payload).outcome == "refused: unreadable"


@pytest.mark.parametrize("codec", ["libmp3lame", "mp2", "ac3"])
def test_a_stream_whose_rate_changes_is_served(watch: Watch, codec: str) -> None:
    muxer = {"libmp3lame": "mp3"}.get(codec, codec)
    clip = speech()
    parts = [encode(muxer, [codec], clip, rate_hz, 1) for rate_hz in (32_000, 48_000)]
    reply = watch.ask(b"".join(parts))
    assert reply.outcome == "served"
    assert reply.audio_s == pytest.approx(2 * clip.size / 16_000, abs=0.3)


@pytest.mark.parametrize("name", ["language", "min_speakers", "return_timestamps", "prompt"])
def test_a_thousand_nested_values_are_an_error_of_their_parameter(name: str) -> None:
    for lists in (True, False):
        parameters = {name: nested(1_000, None, lists=lists)}
        with pytest.raises(InvalidRequest, match=rf"^parameters\.{name}: "):
            Request.from_host({"inputs": b"RIFF", "parameters": parameters})


@settings(max_examples=300, deadline=None)
@given(VALUES, VALUES, VALUES)
def test_any_json_is_a_request_or_an_error_that_can_be_sent(
    data: object, inputs: object, parameters: object
) -> None:
    def read(anything: object) -> float:
        Request.from_host(anything)
        return 0.0

    for anything in (data, {"inputs": inputs, "parameters": parameters}):
        assert target.try_input(read, anything).outcome.startswith(("served", "refused"))
