"""Audio of any format becomes a waveform; what is no audio gets an error that says what to do."""

from __future__ import annotations

import base64
import io
import pickle
import textwrap
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from speech_endpoint.audio.decoding import (
    decode_audio,
    decode_channels,
    payload_bytes,
)
from speech_endpoint.errors import InvalidRequest
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Waveform

pytestmark = pytest.mark.core

CLIPS = Path(__file__).resolve().parent.parent / "data"
PROSE = b"It was a dark and stormy night; the rain fell in torrents. " * 40
MAX_BYTES = 2**20
Wav = Callable[..., bytes]


def decode(payload: bytes, pcm_rate_hz: int = SAMPLE_RATE_HZ, max_audio_s: float = 60) -> Waveform:
    return decode_audio(payload, pcm_rate_hz, max_audio_s)


@pytest.fixture(scope="module")
def speech() -> Waveform:
    return decode((CLIPS / "austen.flac").read_bytes())


@pytest.fixture(scope="module")
def encode(speech: Waveform) -> Callable[..., bytes]:
    """Encodes the English clip in a container, with a codec, at a rate."""

    def encoded(container: str, codec: str, rate_hz: int) -> bytes:
        file = io.BytesIO()
        with av.open(file, "w", format=container) as out:
            stream = out.add_stream(codec, rate=rate_hz, layout="mono")
            frame = av.AudioFrame.from_ndarray(speech[None], format="flt", layout="mono")
            frame.sample_rate = SAMPLE_RATE_HZ
            frame.pts = 0
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        return file.getvalue()

    return encoded


def similarity(one: Waveform, other: Waveform) -> float:
    """The correlation of two recordings' loudness in frames of 20 ms."""
    n = min(len(one), len(other)) // 320 * 320
    loudness = [np.abs(waveform[:n]).reshape(-1, 320).mean(axis=1) for waveform in (one, other)]
    return float(np.corrcoef(loudness)[0, 1])


@pytest.mark.parametrize(
    ("container", "codec", "rate_hz"),
    [
        ("mp3", "libmp3lame", 44_100),
        ("ogg", "libopus", 48_000),
        ("webm", "libopus", 48_000),
        ("mp4", "aac", 22_050),
        ("flac", "flac", 8_000),
        ("wav", "pcm_mulaw", 8_000),
    ],
)
def test_every_format_gives_the_same_speech(
    encode: Callable[..., bytes], speech: Waveform, container: str, codec: str, rate_hz: int
) -> None:
    waveform = decode(encode(container, codec, rate_hz))
    assert waveform.dtype == np.float32 and waveform.ndim == 1
    assert len(waveform) / SAMPLE_RATE_HZ == pytest.approx(6.05, abs=0.1)
    assert similarity(waveform, speech) > 0.95


def test_the_channels_of_a_file_are_mixed_or_kept_apart(wav: Wav, speech: Waveform) -> None:
    payload = wav(np.stack([speech, np.zeros_like(speech)]))
    left, right = decode_channels(payload, SAMPLE_RATE_HZ, 60)
    assert np.allclose(left, speech, atol=1e-3)
    assert not right.any()
    mixed = decode(payload)
    assert mixed.shape == speech.shape and similarity(mixed, speech) > 0.999


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
def test_headerless_pcm_is_read_at_the_rate_that_is_given(speech: Waveform, rate_hz: int) -> None:
    samples = speech[:: SAMPLE_RATE_HZ // rate_hz]
    waveform = decode((samples * 32767).astype("<i2").tobytes(), rate_hz)
    assert len(waveform) == pytest.approx(len(speech), abs=2)
    assert similarity(waveform, speech) > 0.95


def test_headerless_pcm_may_end_within_a_sample(speech: Waveform) -> None:
    pcm = (speech * 32767).astype("<i2").tobytes()
    assert np.array_equal(decode(pcm + b"\x01"), decode(pcm))


def test_samples_that_are_not_finite_become_silence_or_full_scale() -> None:
    samples = np.float32([0.1, np.nan, np.inf, -np.inf] * 400)
    file = io.BytesIO()
    with av.open(file, "w", format="wav") as out:
        stream = out.add_stream("pcm_f32le", rate=SAMPLE_RATE_HZ, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    assert np.array_equal(decode(file.getvalue())[:4], np.float32([0.1, 0.0, 1.0, -1.0]))


@pytest.mark.parametrize(
    "write",
    [
        lambda text: text,
        lambda text: text.replace("+", "-").replace("/", "_"),
        lambda text: text.rstrip("="),
        lambda text: "\n".join(textwrap.wrap(text, 76)),
        lambda text: f" data:audio/flac;base64,{text}",
        lambda text: base64.b64decode(text),
        lambda text: bytearray(base64.b64decode(text)),
    ],
    ids=["standard", "url-safe", "unpadded", "lines", "data-url", "bytes", "bytearray"],
)
@pytest.mark.parametrize("payload", [b"\xfb\xef\xbe~", bytes(range(256)) * 3])
def test_a_payload_comes_as_bytes_or_in_any_form_of_base64(
    payload: bytes, write: Callable[[str], object]
) -> None:
    assert payload_bytes(write(base64.b64encode(payload).decode()), MAX_BYTES) == payload


@pytest.mark.parametrize(
    ("inputs", "code", "message"),
    [
        (b"", "missing", "inputs: empty; give the bytes of an audio file"),
        ("", "missing", "inputs: empty; give the bytes of an audio file"),
        ("data:audio/wav;base64,", "missing", "inputs: empty; give the bytes of an audio file"),
        ("this is not base64!", "invalid_value", "inputs: the text is not valid base64"),
        ("§", "invalid_value", "inputs: the text is not valid base64"),
        (17, "invalid_type", "inputs: expected base64 text or bytes of an audio file, got int"),
        (["a"], "invalid_type", "inputs: expected base64 text or bytes of an audio file, got list"),
        (
            bytes(MAX_BYTES + 1),
            "too_large",
            "inputs: 1,048,577 bytes of audio; at most 1,048,576 are allowed",
        ),
        (
            "A" * (2 * MAX_BYTES),
            "too_large",
            "inputs: 2,097,152 characters of base64; at most 1,048,576 bytes of audio are allowed",
        ),
    ],
)
def test_inputs_that_hold_no_payload(inputs: object, code: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        payload_bytes(inputs, MAX_BYTES)
    assert str(caught.value).startswith(message)
    assert (caught.value.field, caught.value.code) == ("inputs", code)


@pytest.mark.parametrize("payload", [PROSE, b"RIFF", bytes(15)], ids=["prose", "header", "short"])
def test_a_payload_that_is_no_audio(payload: bytes) -> None:
    with pytest.raises(
        InvalidRequest, match=r"^inputs: not an audio file FFmpeg can read"
    ) as caught:
        decode(payload)
    assert caught.value.code == "unreadable"


def test_a_file_without_an_audio_track() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        image = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        out.mux(stream.encode(image.reformat(format="yuv420p")))
        out.mux(stream.encode(None))
    with pytest.raises(InvalidRequest, match=r"^inputs: the file has no audio track$"):
        decode(file.getvalue())


def test_a_file_without_samples(wav: Wav) -> None:
    with pytest.raises(InvalidRequest, match=r"^inputs: the audio holds no samples$"):
        decode(wav(np.zeros(0)))


@pytest.mark.parametrize("container", ["mp3", "flac"])
def test_an_upload_that_broke_off(encode: Callable[..., bytes], container: str) -> None:
    payload = encode(container, {"mp3": "libmp3lame"}.get(container, container), SAMPLE_RATE_HZ)
    with pytest.raises(
        InvalidRequest, match=r"^inputs: the audio is (damaged or )?cut short"
    ) as caught:
        decode(payload[: len(payload) // 2])
    assert caught.value.code == "unreadable"


def test_real_uploads_that_broke_off(data: Path) -> None:
    for name in ("sample1.mp3", "multilingual.mp3", "sample1.flac"):
        payload = (data / "formats" / name).read_bytes()
        with pytest.raises(InvalidRequest, match=r"^inputs: the audio is (damaged or )?cut short"):
            decode(payload[: len(payload) // 2])


def test_real_files_cut_before_their_audio_begins(data: Path) -> None:
    for name, n_bytes in (("sample1.mp3", 60), ("sample.m4a", 2_000)):
        payload = (data / "formats" / name).read_bytes()
        with pytest.raises(InvalidRequest, match=r"damaged or cut short"):
            decode(payload[:n_bytes])


@pytest.mark.parametrize("container", ["wav", "none"])
def test_audio_longer_than_the_limit(wav: Wav, speech: Waveform, container: str) -> None:
    pcm = (speech * 32767).astype("<i2").tobytes()
    payload = wav(speech) if container == "wav" else pcm
    assert len(decode(payload, max_audio_s=6.1)) == len(speech)
    with pytest.raises(
        InvalidRequest, match=r"^inputs: the audio is longer than the limit of 3\.5 sec"
    ):
        decode(payload, max_audio_s=3.5)


def test_an_error_is_a_value_error_that_crosses_processes() -> None:
    for fail in (lambda: decode(b"RIFF"), lambda: payload_bytes("%", MAX_BYTES)):
        with pytest.raises(InvalidRequest) as caught:
            fail()
        error = pickle.loads(pickle.dumps(caught.value))
        assert isinstance(error, ValueError) and str(error) == str(caught.value)
        assert (error.field, error.code) == ("inputs", caught.value.code)
