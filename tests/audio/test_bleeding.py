"""What one channel holds of another, on recordings that are mixed in known ways."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import AUSTEN, KENNEDY
from scipy.signal import fftconvolve

from speech_endpoint.audio.bleeding import distinct_channels, find_bleeding, without_bleeding
from speech_endpoint.audio.decoding.decode import decode_audio
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Channels, Waveform

FRAME = SAMPLE_RATE_HZ // 50


def read(path) -> Waveform:
    waveform = decode_audio(path.read_bytes(), SAMPLE_RATE_HZ, 60)
    return (0.08 / np.sqrt(np.mean(np.square(waveform))) * waveform).astype(np.float32)


FAR, NEAR = read(KENNEDY), read(AUSTEN)


def room(reverberation_s: float) -> np.ndarray:
    """An impulse response: the direct sound, and as much energy in an exponential decay."""
    n = round(reverberation_s * SAMPLE_RATE_HZ)
    tail = np.random.default_rng(0).standard_normal(n) * 10 ** (-3 * np.arange(n) / n)
    return np.concatenate([[1.0], tail / np.sqrt(np.sum(np.square(tail)))]) / np.sqrt(2)


def bleeding(waveform: Waveform, gain_db: float, delay_s: float, reverberation_s=0.0) -> Waveform:
    """What another channel hears of `waveform`; as long as that."""
    heard = fftconvolve(waveform, room(reverberation_s)) if reverberation_s else waveform
    silence = np.zeros(round(delay_s * SAMPLE_RATE_HZ))
    late = np.concatenate([silence, heard])[: waveform.size]
    return (10 ** (gain_db / 20) * late).astype(np.float32)


def call(near_from_s: float) -> tuple[Waveform, Waveform]:
    """Two who speak, each on a channel of 20 s, the second from `near_from_s` on."""
    far, near = np.zeros((2, 20 * SAMPLE_RATE_HZ), np.float32)
    far[: FAR.size] = FAR
    start = round(near_from_s * SAMPLE_RATE_HZ)
    near[start : start + NEAR.size] = NEAR
    return far, near


def with_noise(*channels: Waveform) -> Channels:
    noise = np.random.default_rng(1).standard_normal((len(channels), channels[0].size))
    return (np.stack(channels) + 1e-4 * noise).astype(np.float32)


def removed_share(channels: Channels, n: int, voice: Waveform) -> float:
    """Of the frames in which `voice` is heard: how many are silenced on channel `n`."""
    before = channels[n][: channels.shape[1] // FRAME * FRAME].reshape(-1, FRAME)
    after = without_bleeding(channels)[n][: before.size].reshape(-1, FRAME)
    levels = np.sqrt(np.mean(np.square(voice[: before.size].reshape(-1, FRAME)), axis=1))
    is_heard = levels > 0.05 * levels.max()
    is_removed = np.sum(np.square(after), 1) < 0.01 * np.sum(np.square(before), 1)
    return float(np.mean(is_removed[is_heard]))


@pytest.mark.parametrize("reverberation_s", [0.0, 0.4])
@pytest.mark.parametrize("delay_s", [0.0, 0.008, 0.25])
@pytest.mark.parametrize("gain_db", [-6, -20, -40])
def test_bleeding_is_silenced_and_nobody_else(
    gain_db: float, delay_s: float, reverberation_s: float
) -> None:
    far, near = call(near_from_s=12.0)
    echo = bleeding(far, gain_db, delay_s, reverberation_s)
    channels = with_noise(far, near + echo)
    assert removed_share(channels, 1, echo) > 0.9
    assert removed_share(channels, 1, near) < 0.01
    assert removed_share(channels, 0, far) == 0


def test_each_may_bleed_into_the_other() -> None:
    far, near = call(near_from_s=12.0)
    in_near, in_far = bleeding(far, -15, 0.1), bleeding(near, -15, 0.02)
    channels = with_noise(far + in_far, near - in_near)
    assert removed_share(channels, 1, in_near) > 0.95 < removed_share(channels, 0, in_far)
    assert removed_share(channels, 0, far) == removed_share(channels, 1, near) == 0


def test_a_voice_that_bleeds_into_several_channels_is_left_on_the_loudest() -> None:
    far, near = call(near_from_s=12.0)
    echoes = bleeding(far, -20, 0.01), bleeding(far, -12, 0.15)
    channels = with_noise(near + echoes[0], far, echoes[1])
    assert removed_share(channels, 0, echoes[0]) > 0.95 < removed_share(channels, 2, echoes[1])
    assert removed_share(channels, 1, far) == 0


@pytest.mark.parametrize("gain_db", [-12, -20, -30])
def test_who_talks_over_what_bleeds_in_is_kept(gain_db: float) -> None:
    far, near = call(near_from_s=2.0)
    channels = with_noise(far, near + bleeding(far, gain_db, 0.05))
    assert removed_share(channels, 1, near) < 0.05
    assert removed_share(channels, 0, far) == 0


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 100), st.floats(0.01, 1.0))
def test_two_who_talk_at_once_are_both_kept(tenths: int, gain: float) -> None:
    far, near = call(near_from_s=tenths / 10)
    assert find_bleeding(with_noise(far, gain * near)) == [[], []]


def test_channels_without_sound_or_length_have_no_bleeding() -> None:
    silent = np.zeros_like(FAR)
    assert find_bleeding(np.stack([FAR, silent])) == [[], []]
    assert find_bleeding(np.zeros((2, 0), np.float32)) == [[], []]
    assert find_bleeding(np.full((2, 5), 0.5, np.float32)) == [[], []]
    assert find_bleeding(FAR[None]) == [[]]


@pytest.mark.parametrize("gain", [1.0, 0.3, -1.0])
def test_copies_are_one_channel_at_any_level_inverted_or_not(gain: float) -> None:
    noise = 1e-4 * np.random.default_rng(2).standard_normal(FAR.size).astype(np.float32)
    channels = np.stack([FAR, gain * FAR + noise, 0.5 * FAR])
    assert distinct_channels(channels) == distinct_channels(channels[:, 8000:16_000]) == [0]


def test_channels_that_share_a_voice_are_no_copies() -> None:
    far, near = call(near_from_s=12.0)
    # Both voices in each, as a mixing desk places them; one voice more; a delay; silence.
    assert distinct_channels(np.stack([far + 0.5 * near, 0.5 * far + near])) == [0, 1]
    assert distinct_channels(np.stack([far, far + 0.1 * near])) == [0, 1]
    assert distinct_channels(np.stack([far, np.roll(far, 80)])) == [0, 1]
    assert distinct_channels(np.stack([far, np.zeros_like(far)])) == [0, 1]
    assert distinct_channels(np.zeros((2, 0), np.float32)) == [0, 1]
