"""Which sound of a file is heard, at what time, and what its caller is told."""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
import pytest
from sounds import heard

from speech_endpoint.errors import InvalidRequest
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Waveform

pytestmark = pytest.mark.pure

Movie = Callable[..., bytes]
Wav = Callable[..., bytes]


def begins_at_s(waveform: Waveform, piece: Waveform) -> float:
    """Where a piece lies in a waveform, by cross-correlation."""
    size = 1 << (len(waveform) + len(piece)).bit_length()
    products = np.fft.rfft(waveform, size) * np.fft.rfft(piece, size).conj()
    return int(np.argmax(np.fft.irfft(products, size)[: len(waveform)])) / SAMPLE_RATE_HZ


def test_a_track_that_starts_late_is_heard_late(movie: Movie, speech: Waveform) -> None:
    (waveform,), warnings = heard(movie([(5.0, speech)], picture_s=12))
    assert begins_at_s(waveform, speech) == pytest.approx(5.0, abs=0.02)
    assert not waveform[: 4 * SAMPLE_RATE_HZ].any() and warnings == []


def test_a_piece_of_a_live_stream_is_as_long_as_itself(movie: Movie, speech: Waveform) -> None:
    (waveform,), _ = heard(movie([(20_000.0, speech)]), max_audio_s=60)
    assert len(waveform) == pytest.approx(len(speech), abs=SAMPLE_RATE_HZ // 20)


def test_a_gap_in_the_packets_is_silence_of_its_length(movie: Movie, speech: Waveform) -> None:
    half = len(speech) // 2
    again_s = half / SAMPLE_RATE_HZ + 10.0
    payload = movie([(0.0, speech[:half]), (again_s, speech[half:])], picture_s=20)
    (waveform,), _ = heard(payload)
    assert begins_at_s(waveform, speech[half:]) == pytest.approx(again_s, abs=0.02)


def test_a_silent_first_track_gives_way_to_the_second(movie: Movie, speech: Waveform) -> None:
    payload = movie([(0.0, np.zeros_like(speech))], [(0.0, speech)])
    (waveform,), warnings = heard(payload)
    assert np.abs(waveform).max() > 0.1
    assert warnings == [
        "audio track 1 was transcribed: those before it are silent or cannot be decoded"
    ]


def test_the_caller_chooses_the_track(movie: Movie, speech: Waveform) -> None:
    payload = movie([(0.0, speech)], [(0.0, speech[::-1].copy())])
    first, second = (heard(payload, audio_track=number)[0][0] for number in (0, 1))
    assert np.allclose(first, speech, atol=1e-3) and np.allclose(second, speech[::-1], atol=1e-3)
    with pytest.raises(
        InvalidRequest, match=r"^parameters\.audio_track: 2: the file's audio tracks are 0 to 1"
    ):
        heard(payload, audio_track=2)


def test_silence_is_said_to_be_silent(wav: Wav) -> None:
    _, warnings = heard(wav(np.zeros(16_000)))
    assert warnings == ["the audio is silent"]


def test_channels_in_opposite_phase_do_not_cancel(wav: Wav, speech: Waveform) -> None:
    (waveform,), warnings = heard(wav(np.stack([speech, -speech])))
    assert np.allclose(np.abs(waveform), np.abs(speech), atol=1e-3)
    assert "opposite phase" in warnings[0]


@pytest.mark.parametrize("n_channels", [6, 10, 60])
def test_one_voice_on_the_fourth_of_many_channels(
    wav: Wav, speech: Waveform, n_channels: int
) -> None:
    channels = np.zeros((n_channels, len(speech)), np.float32)
    channels[3] = speech
    (waveform,), warnings = heard(wav(channels))
    assert np.allclose(waveform, speech, atol=1e-3)
    assert warnings == [f"only channel 4 of {n_channels} carries sound; the others were left out"]


def test_two_voices_on_two_channels_are_both_in_the_mix(wav: Wav, speech: Waveform) -> None:
    silence = np.zeros_like(speech)
    left, right = np.hstack([speech, silence]), np.hstack([silence, speech[::-1]])
    (waveform,), warnings = heard(wav(np.stack([left, right])))
    assert warnings == []
    for part in np.split(waveform, 2):
        assert np.abs(part).max() > 0.5 * np.abs(speech).max()


def float_wav(samples: Waveform) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="wav") as out:
        stream = out.add_stream("pcm_f32le", rate=SAMPLE_RATE_HZ, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
        frame.sample_rate, frame.time_base = SAMPLE_RATE_HZ, Fraction(1, SAMPLE_RATE_HZ)
        out.mux(stream.encode(frame))
    return file.getvalue()


@pytest.mark.parametrize("scale", [2.0**15, 2.0**31])
def test_floats_on_the_scale_of_integers_are_scaled(speech: Waveform, scale: float) -> None:
    (waveform,), warnings = heard(float_wav(speech * np.float32(scale)))
    assert np.allclose(waveform, speech, atol=1e-4)
    assert "integers" in warnings[0]


def test_one_sample_that_a_flipped_bit_made_huge_silences_nothing(speech: Waveform) -> None:
    damaged = speech.copy()
    damaged[1_000] = 1e30
    (waveform,), warnings = heard(float_wav(damaged))
    assert np.allclose(np.delete(waveform, 1_000), np.delete(speech, 1_000))
    assert waveform[1_000] == 1.0 and warnings == []


def test_a_rate_that_changes_is_followed(mp3: Callable[..., bytes], speech: Waveform) -> None:
    (waveform,), warnings = heard(mp3(speech, 44_100) + mp3(speech, 48_000))
    assert len(waveform) / SAMPLE_RATE_HZ == pytest.approx(2 * 6.05, abs=0.3)
    assert begins_at_s(waveform[len(speech) :], speech) == pytest.approx(0.0, abs=0.3)
    assert warnings == []


@pytest.mark.parametrize("stated", [None, 0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_a_wav_of_which_half_is_missing_is_said_to_be_cut_if_its_size_is_known(
    wav: Wav, speech: Waveform, stated: int | None
) -> None:
    payload = bytearray(wav(speech))
    if stated is not None:
        payload[40:44] = stated.to_bytes(4, "little")
    _, whole = heard(bytes(payload))
    (waveform,), warnings = heard(bytes(payload[: len(payload) // 2]))
    assert len(waveform) == pytest.approx(len(speech) / 2, rel=0.01) and not whole
    assert ["cut short" in warning for warning in warnings] == ([True] if stated is None else [])


def test_joined_files_are_all_heard(wav: Wav, speech: Waveform) -> None:
    rates = [np.interp(np.arange(0, len(speech), 2), np.arange(len(speech)), speech), speech]
    joined = wav(rates[0], 8_000) + wav(rates[1], 16_000) + wav(np.stack([speech, speech]))
    (waveform,), warnings = heard(joined)
    assert len(waveform) == pytest.approx(3 * len(speech), abs=20)
    assert warnings == []


def test_an_mp3_of_changing_bit_rate_needs_no_header(
    mp3: Callable[..., bytes], speech: Waveform
) -> None:
    hiss = np.random.default_rng(0).normal(0, 1e-4, 8 * SAMPLE_RATE_HZ).astype(np.float32)
    (waveform,), _ = heard(mp3(hiss, bit_rate=16_000) + mp3(speech))
    assert len(waveform) / SAMPLE_RATE_HZ == pytest.approx(8 + 6.05, abs=0.3)


def test_a_damaged_stretch_costs_no_more_than_itself(
    mp3: Callable[..., bytes], speech: Waveform
) -> None:
    payload = bytearray(mp3(np.tile(speech, 3)))
    middle = len(payload) // 2
    payload[middle : middle + 700] = np.random.default_rng(3).bytes(700)
    (waveform,), warnings = heard(bytes(payload))
    assert len(waveform) / SAMPLE_RATE_HZ == pytest.approx(3 * 6.05, abs=0.5)
    assert warnings and "the audio is damaged, first at " in warnings[0]


def test_silence_frames_of_a_telephone_are_no_damage(data) -> None:
    content = (data / "formats" / "sample.amr").read_bytes()
    # Comfort noise, then frames of nothing: a second of a pause, before the recording.
    pause = (b"\x44" + bytes(5) + b"\x7c" * 7) * 7
    (whole,), _ = heard(content)
    (waveform,), warnings = heard(b"#!AMR\n" + pause + content[6:])
    assert len(waveform) - len(whole) == pytest.approx(1.1 * SAMPLE_RATE_HZ, abs=4_000)
    assert warnings == []
