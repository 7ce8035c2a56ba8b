"""Fixed addresses and looks one step late change no token: graphs without the graph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from paths import KENNEDY, MODELS
from replays import ReplayingBackend, Replays, decode

from speech_endpoint.audio.decoding.decode import decode_audio
from speech_endpoint.whisper.alignment import timed_words
from speech_endpoint.whisper.backends.cpu import CpuBackend
from speech_endpoint.whisper.backends.recording import Tensors
from speech_endpoint.whisper.batching.engine import Engine
from speech_endpoint.whisper.batching.sequence import DecodeRequest, RequestGroup
from speech_endpoint.whisper.checkpoint import load_checkpoint
from speech_endpoint.whisper.model.whisper import WhisperModel


@pytest.fixture(scope="module")
def windows() -> list[np.ndarray]:
    waveform = decode_audio(KENNEDY.read_bytes(), 16_000, 60)
    return [waveform[n * 16_000 : (n + 1 + n % 2) * 16_000] for n in range(5)]


@pytest.fixture(scope="module")
def models() -> tuple[WhisperModel, WhisperModel]:
    """One whose steps are issued one by one, and the same with steps that are replayed."""
    checkpoint = load_checkpoint(str(MODELS / "whisper-tiny.en"))
    direct = WhisperModel.from_checkpoint(checkpoint, CpuBackend("float32", "none"))
    captured = WhisperModel.from_checkpoint(checkpoint, ReplayingBackend())
    return direct, captured


@pytest.mark.parametrize(("n_slots", "fallback"), [(1, False), (4, True), (24, False)])
def test_late_looks_and_fixed_addresses_change_no_token(
    models: tuple[WhisperModel, WhisperModel],
    windows: list[np.ndarray],
    n_slots: int,
    fallback: bool,
) -> None:
    """Windows that are decoded again draw at random, which takes steps of its own."""
    direct, captured = models
    expected = decode(direct, windows, n_slots, fallback=fallback)
    found = decode(captured, windows, n_slots, fallback=fallback)
    assert sorted(found) == sorted(expected) == list(range(5))
    for n, result in expected.items():
        assert found[n].tokens == result.tokens, n
        assert found[n].temperature == result.temperature
        assert found[n].log_probabilities == pytest.approx(result.log_probabilities, abs=1e-3)
        assert timed_words(found[n], captured.tokenizer) == timed_words(result, direct.tokenizer)
    assert captured.backend.replays.n_replayed > captured.backend.replays.n_recorded > 0


def test_words_are_timed_while_the_next_step_is_under_way(
    models: tuple[WhisperModel, WhisperModel], windows: list[np.ndarray]
) -> None:
    _, captured = models
    engine, group = Engine(captured, n_slots=2), RequestGroup()
    for n, window in enumerate(windows):
        engine.add(DecodeRequest(group, n, float(n), (window,), fallback=False))
    captured.backend.steps_meanwhile.clear()
    while engine.busy:
        for result in engine.step():
            timed_words(result, captured.tokenizer)
    *others, last = captured.backend.steps_meanwhile
    assert len(others) == len(windows) - 1 and set(others) == {1}
    assert last == 0


class Refuses(Replays):
    def record(self, work: Callable[[], Tensors]) -> tuple[Callable[[], None], Tensors]:
        work()
        raise RuntimeError("operation not permitted when stream is capturing")


def test_a_device_that_records_nothing_decodes_all_the_same(
    models: tuple[WhisperModel, WhisperModel],
    windows: list[np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, captured = models
    monkeypatch.setattr(captured.backend, "replays", Refuses())
    expected, found = (decode(model, windows[:2], 4) for model in models)
    assert {n: found[n].tokens for n in found} == {n: expected[n].tokens for n in expected}
