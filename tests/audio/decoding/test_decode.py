"""Audio of any format becomes a waveform; what is no audio gets an error that says what to do."""

from __future__ import annotations

import base64
import io
import pickle
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from sounds import heard

from speech_endpoint.audio.payload import payload_bytes
from speech_endpoint.errors import InvalidRequest
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Waveform

PROSE = b"It was a dark and stormy night; the rain fell in torrents. " * 40
MAX_BYTES = 2**20
Wav = Callable[..., bytes]


def decode(payload: bytes, pcm_rate_hz: int = SAMPLE_RATE_HZ, max_audio_s: float = 60) -> Waveform:
    (waveform,), _ = heard(payload, max_audio_s, pcm_rate_hz=pcm_rate_hz)
    return waveform


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
    (left, right), _ = heard(payload, apart=True)
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
    ("payload", "message"),
    [
        (PROSE, "text, not audio"),
        ("Es war eine dunkle, stürmische Nacht, größer als andere. ".encode() * 40, "text, not"),
        (b"a" * 4_000, "text, not audio"),
        (b"<!DOCTYPE html><html><body>403 Forbidden</body></html>" * 9, "text, .*a web page"),
        (b'{"inputs": "UklGRg==", "parameters": {}}', "text, not audio .JSON"),
        (base64.b64encode(bytes(range(256)) * 9), "text, not audio .base64"),
        (
            b'--X\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + bytes(99),
            "a multipart f",
        ),
        (b"\x7f" * 4_000, "not an audio file"),
        (b"\x12\x34" * 4_000, "not an audio file"),
        (np.random.default_rng(0).bytes(40_000), "not an audio file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(900), "a picture, not audio"),
        (b"\x1f\x8b\x08" + bytes(900), "an archive, not audio"),
        (b"RIFF", "not an audio file FFmpeg can read"),
        (bytes(15), "not an audio file FFmpeg can read"),
    ],
    ids=lambda value: None if isinstance(value, str) else repr(value[:12]),
)
def test_a_payload_that_is_no_audio(payload: bytes, message: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^inputs: {message}") as caught:
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
