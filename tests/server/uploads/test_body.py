"""Bodies: limits of size and time."""

from __future__ import annotations

import asyncio

import pytest
from starlette.datastructures import Headers

from speech_endpoint.server.errors import ApiError, CallerGone
from speech_endpoint.server.uploads.body import BodyLimits, read_all, stated_bytes

pytestmark = pytest.mark.pure


def read(messages: list[dict], limits: BodyLimits) -> bytes:
    """Read what a caller sends; after the last message nothing comes any more."""

    async def receive():
        if not messages:
            await asyncio.Event().wait()
        return messages.pop(0)

    async def scenario() -> bytes:
        return await read_all(receive, limits)

    return asyncio.run(scenario())


def chunk(body: bytes, more: bool = True) -> dict:
    return {"type": "http.request", "body": body, "more_body": more}


def test_chunks_are_joined() -> None:
    assert read([chunk(b"ab"), chunk(b""), chunk(b"c", False)], BodyLimits(10, 5.0)) == b"abc"


def test_a17_one_byte_too_many_is_refused_with_both_figures() -> None:
    with pytest.raises(ApiError) as caught:
        read([chunk(b"x" * 10), chunk(b"y", False)], BodyLimits(10, 5.0))
    assert caught.value.status == 413
    assert "(10)" in caught.value.message and "(11 bytes read)" in caught.value.message


def test_s19_a_body_that_stands_still_is_given_up() -> None:
    with pytest.raises(ApiError) as caught:
        read([chunk(b"x")], BodyLimits(10, 0.01))
    assert (caught.value.status, caught.value.code) == (408, "upload_timeout")


def test_s19_a_body_that_trickles_is_given_up(monkeypatch) -> None:
    # A chunk every twenty seconds: never still for long, and for ever under way.
    now = iter(range(0, 10_000, 10))
    monkeypatch.setattr(
        "speech_endpoint.server.uploads.body.time.monotonic", lambda: float(next(now))
    )
    with pytest.raises(ApiError) as caught:
        read([chunk(b"x")] * 50, BodyLimits(1000, 30.0))
    assert caught.value.status == 408 and "1024 bytes a second" in caught.value.message


def test_s13_a_caller_who_hangs_up_is_noticed() -> None:
    with pytest.raises(CallerGone):
        read([chunk(b"x"), {"type": "http.disconnect"}], BodyLimits(10, 5.0))


def test_s21_compressed_bodies_are_not_read() -> None:
    with pytest.raises(ApiError) as caught:
        stated_bytes(Headers({"content-encoding": "gzip"}), 100)
    assert caught.value.status == 415


@pytest.mark.parametrize("length", ["101", "99999999999999999999"])
def test_s9_a_stated_length_that_is_too_large_is_refused_unread(length: str) -> None:
    with pytest.raises(ApiError) as caught:
        stated_bytes(Headers({"content-length": length}), 100)
    assert caught.value.status == 413
    assert stated_bytes(Headers({"content-length": "100"}), 100) == 100
    assert stated_bytes(Headers({}), 100) == 100
