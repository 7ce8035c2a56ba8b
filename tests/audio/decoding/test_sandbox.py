"""No file reaches beyond itself, takes more than it was granted, or harms the next."""

from __future__ import annotations

import gc
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from paths import AUSTEN, KENNEDY, REPOSITORY

from speech_endpoint.audio.decoding.decode import decode_audio
from speech_endpoint.audio.decoding.file_decoder import DecodingOptions
from speech_endpoint.audio.decoding.sandbox import GRACE_S, MAX_PASSES, MIN_PACE, AudioDecoder
from speech_endpoint.audio.decoding.worker import Allowance
from speech_endpoint.errors import InvalidRequest
from speech_endpoint.transcript import SAMPLE_RATE_HZ

pytestmark = pytest.mark.pure

FOUR_HOURS = DecodingOptions(max_audio_s=4 * 3600)


@pytest.fixture(scope="module")
def decoder() -> Iterator[AudioDecoder]:
    decoder = AudioDecoder()
    yield decoder
    decoder.close()


@pytest.fixture(autouse=True)
def nothing_is_left(decoder: AudioDecoder) -> Iterator[None]:
    """After each test the next file is heard, and no descriptor is open that was not before."""
    decoder(KENNEDY.read_bytes(), FOUR_HOURS)
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    yield
    gc.collect()
    assert decoder(KENNEDY.read_bytes(), FOUR_HOURS).channels.shape[1] > 10 * SAMPLE_RATE_HZ
    after = len(os.listdir("/proc/self/fd")) if before else 0
    assert after == before


def riff(body: bytes, rate_hz: int, channels: int = 1, bits: int = 16, tag: int = 1) -> bytes:
    block = channels * bits // 8 & 0xFFFF
    byte_rate = rate_hz * block & 0xFFFFFFFF
    fmt = struct.pack("<HHIIHH", tag, channels, rate_hz, byte_rate, block, bits)
    content = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt
    content += b"data" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(content)) + content


def refusal(decoder: AudioDecoder, payload: bytes, **options: object) -> str:
    with pytest.raises(InvalidRequest) as caught:
        decoder(payload, DecodingOptions(**{"max_audio_s": 4 * 3600, **options}))
    return str(caught.value)


@pytest.mark.parametrize("clip", [AUSTEN, KENNEDY], ids=["flac", "opus"])
def test_samples_are_those_of_a_decoder_in_this_process(decoder: AudioDecoder, clip: Path) -> None:
    payload = clip.read_bytes()
    (waveform,) = decoder(payload, FOUR_HOURS).channels
    assert np.array_equal(waveform, decode_audio(payload, SAMPLE_RATE_HZ, 60))


def test_samples_can_be_changed_and_outlive_the_decoder() -> None:
    decoder = AudioDecoder()
    (waveform,) = decoder(AUSTEN.read_bytes(), FOUR_HOURS).channels
    decoder.close()
    loudest = np.abs(waveform).max()
    waveform *= 2
    assert np.abs(waveform).max() == pytest.approx(2 * loudest)


def test_several_threads_each_get_their_own(decoder: AudioDecoder) -> None:
    payloads = [AUSTEN.read_bytes(), KENNEDY.read_bytes()] * 4
    lengths: dict[int, int] = {}

    def decode(number: int) -> None:
        lengths[number] = decoder(payloads[number], FOUR_HOURS).channels.shape[1]

    threads = [threading.Thread(target=decode, args=(number,)) for number in range(len(payloads))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = [decode_audio(payload, SAMPLE_RATE_HZ, 60).size for payload in payloads]
    assert [lengths[number] for number in range(len(payloads))] == expected


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@pytest.mark.parametrize(
    "write",
    [
        "ffconcat version 1.0\nfile {name}\n",
        "ffconcat version 1.0\nfile {path}\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:8,\nfile://{path}\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:8,\n{url}a.ts\n#EXT-X-ENDLIST\n",
        "[playlist]\nFile1={url}a.mp3\nNumberOfEntries=1\n",
        '<?xml version="1.0"?><MPD><Period><BaseURL>{url}a.mp4</BaseURL></Period></MPD>',
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        "m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n",
        "{url}a.wav",
        "file:{path}",
    ],
    ids=["concat", "concat-path", "hls-file", "hls", "pls", "dash", "sdp", "url", "path"],
)
def test_a_text_that_names_a_file_or_a_server_reaches_neither(
    decoder: AudioDecoder,
    listener: socket.socket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: str,
) -> None:
    (tmp_path / "somebody.flac").write_bytes(AUSTEN.read_bytes())
    monkeypatch.chdir(tmp_path)
    port = listener.getsockname()[1]
    text = write.format(
        name="somebody.flac",
        path=tmp_path / "somebody.flac",
        url=f"http://127.0.0.1:{port}/",
        port=port,
    )
    assert refusal(decoder, text.encode()).startswith("inputs: text, not audio")
    with pytest.raises(BlockingIOError):
        listener.accept()


@pytest.mark.parametrize(
    ("rate_hz", "channels", "message"),
    [
        (1, 1, "a sampling rate of 1 Hz is beyond the limits of 1,000 to 384,000 Hz"),
        (60_000_011, 1, "a sampling rate of 60,000,011 Hz is beyond the limits"),
        (8_000, 65, "65 channels; the limit is 64"),
    ],
)
def test_what_a_header_claims_beyond_the_limits(
    decoder: AudioDecoder, rate_hz: int, channels: int, message: str
) -> None:
    body = bytes(range(200)) * channels
    assert message in refusal(decoder, riff(body, rate_hz, channels))


def test_a_codec_that_nobody_knows(decoder: AudioDecoder) -> None:
    payload = riff(bytes(range(256)) * 64, 16_000, tag=0x4321)
    assert "the codec of its audio track is not known" in refusal(decoder, payload)


def test_channels_apart_share_the_limit_and_are_few(
    decoder: AudioDecoder, wav: Callable[..., bytes]
) -> None:
    speech = decode_audio(AUSTEN.read_bytes(), SAMPLE_RATE_HZ, 60)
    payload = wav(np.stack([speech] * 4))
    channels = decoder(payload, DecodingOptions(max_audio_s=25, apart=True)).channels
    assert channels.shape == (4, len(speech))
    message = refusal(decoder, payload, max_audio_s=24, apart=True)
    assert message == "inputs: the channels together are longer than the limit of 24 seconds"
    nine = wav(np.stack([speech] * 9))
    assert "at most 8; the file has 9 channels" in refusal(decoder, nine, apart=True)


def _box(name: bytes, *parts: bytes) -> bytes:
    return struct.pack(">I", 8 + sum(map(len, parts))) + name + b"".join(parts)


def _mp4_that_claims(n_samples: int) -> bytes:
    """A few hundred bytes with an index entry for each of so many samples of one byte."""
    version = bytes(4)
    entry = _box(
        b"mp4a", bytes(6), b"\0\1", bytes(8), struct.pack(">HHHHI", 1, 16, 0, 0, 16_000 << 16)
    )
    tables = (
        _box(b"stsd", version, struct.pack(">I", 1), entry),
        _box(b"stts", version, struct.pack(">III", 1, n_samples, 1024)),
        _box(b"stsc", version, struct.pack(">IIII", 1, 1, n_samples, 1)),
        _box(b"stsz", version, struct.pack(">II", 1, n_samples)),
        _box(b"stco", version, struct.pack(">II", 1, 700)),
    )
    mdhd = _box(b"mdhd", version, struct.pack(">IIIIHH", 0, 0, 16_000, 16_000, 0x55C4, 0))
    hdlr = _box(b"hdlr", version, bytes(4), b"soun", bytes(13))
    minf = _box(b"minf", _box(b"smhd", version, bytes(4)), _box(b"stbl", *tables))
    track = _box(b"trak", _box(b"mdia", mdhd, hdlr, minf))
    return _box(b"ftyp", b"M4A ", bytes(4)) + _box(b"moov", track) + _box(b"mdat", bytes(64))


@pytest.mark.parametrize("n_samples", [20_000_000, 2**31])
def test_tables_of_samples_that_are_not_there(decoder: AudioDecoder, n_samples: int) -> None:
    assert refusal(decoder, _mp4_that_claims(n_samples)).startswith("inputs: ")


def test_decoding_that_hangs_is_ended_whatever_holds_it() -> None:
    program = (
        "import threading\n"
        "from speech_endpoint.audio.decoding.worker import Timer\n"
        "Timer(0.0).progress(-600.0)\n"  # As far behind as ten seconds without a sample.
        "threading.Event().wait()"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, timeout=60)
    assert ended.returncode == -signal.SIGALRM


def test_what_is_decoded_twice_may_take_twice_the_time() -> None:
    """An hour in which the channels cancel out is decoded once more, in another mix."""
    allowance = Allowance(max_audio_s=3600)
    assert allowance.seconds(0.0) == GRACE_S
    for _ in range(2):
        for position_s in range(0, 3601, 600):
            allowed_s = allowance.seconds(position_s)
    assert allowed_s == GRACE_S + 2 * 3600 / MIN_PACE


def test_a_file_of_many_silent_tracks_may_not_take_their_time() -> None:
    allowance = Allowance(max_audio_s=3600)
    for _ in range(100):
        allowance.seconds(0.0)
        allowed_s = allowance.seconds(3600.0)
    assert allowed_s == GRACE_S + MAX_PASSES * 3600 / MIN_PACE


def test_a_recording_may_be_as_long_as_the_limit(
    decoder: AudioDecoder, wav: Callable[..., bytes]
) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (3, 8_000 * 300)).astype(np.float32)
    options = DecodingOptions(max_audio_s=900, apart=True)
    assert decoder(wav(noise, 8_000), options).channels.shape == (3, 300 * SAMPLE_RATE_HZ)


def test_a_worker_that_was_killed_is_started_again(decoder: AudioDecoder) -> None:
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    if not children.exists():
        pytest.skip("the system does not list a process's children")
    for pid in map(int, children.read_text().split()):
        if b"decoding.worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, 9)
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert decoder(AUSTEN.read_bytes(), FOUR_HOURS).channels.size
