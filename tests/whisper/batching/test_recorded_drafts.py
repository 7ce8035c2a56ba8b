"""Drafts as part of a recorded step change no token, whoever drafts and whatever happens beside."""

from __future__ import annotations

import itertools
import logging
from dataclasses import replace

import numpy as np
import pytest
from paths import KENNEDY, MODELS
from replays import RememberingEncoder, ReplayingBackend, Replays, decode

from speech_endpoint.audio.decoding.decode import decode_audio
from speech_endpoint.whisper.backends.cpu import CpuBackend
from speech_endpoint.whisper.batching.draft_length import DraftPolicy, RecordedDraftLength
from speech_endpoint.whisper.batching.sequence import DecodeOptions, DecodeResult, RequestGroup
from speech_endpoint.whisper.batching.speculation import DraftModel
from speech_endpoint.whisper.checkpoint import Checkpoint, load_checkpoint
from speech_endpoint.whisper.model.whisper import WhisperModel

ALWAYS = DraftPolicy(fixed_length=4)
Results = dict[int, DecodeResult]


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return load_checkpoint(str(MODELS / "whisper-base"))


@pytest.fixture(scope="module")
def model(checkpoint: Checkpoint) -> WhisperModel:
    model = WhisperModel.from_checkpoint(checkpoint, ReplayingBackend())
    return replace(model, encoder=RememberingEncoder(model.encoder))


@pytest.fixture(scope="module")
def drafters(checkpoint: Checkpoint, model: WhisperModel) -> dict[str, DraftModel]:
    """The model itself, one with fewer layers, one of another vocabulary."""
    names = ("base", "base-drafter", "tiny.en")
    return {
        name: DraftModel(load_checkpoint(str(MODELS / f"whisper-{name}")), checkpoint, model)
        for name in names
    }


@pytest.fixture(scope="module")
def windows() -> list[np.ndarray]:
    """Four of one or two seconds, and one of noise, which no temperature helps."""
    waveform = decode_audio(KENNEDY.read_bytes(), 16_000, 60)
    speech = [waveform[n * 32_000 :][: 16_000 * (1 + n % 2)] for n in range(4)]
    noise = np.random.default_rng(0).normal(0, 0.05, 16_000).astype(np.float32)
    return [*speech, noise]


@pytest.fixture(scope="module")
def direct(checkpoint: Checkpoint, model: WhisperModel) -> WhisperModel:
    """The same, whose steps are issued one by one."""
    backend = CpuBackend("float32", "none")
    return WhisperModel.from_checkpoint(checkpoint, backend, model.encoder)


@pytest.fixture(scope="module")
def expected(direct: WhisperModel, windows: list[np.ndarray]) -> Results:
    return decode(direct, windows, 4)


def check(expected: Results, found: Results) -> None:
    """The temperature is left out: where the same tokens are drawn at two, the last bits decide."""
    assert sorted(found) == sorted(expected)
    for n, result in expected.items():
        assert found[n].tokens == result.tokens, n
        assert found[n].log_probabilities == pytest.approx(result.log_probabilities, abs=1e-3)


@pytest.mark.parametrize(
    ("drafter", "n_slots"), [("base-drafter", 1), ("base", 4), ("base-drafter", 4), ("base", 24)]
)
def test_text_is_that_of_undrafted_steps(
    model: WhisperModel,
    drafters: dict[str, DraftModel],
    windows: list[np.ndarray],
    expected: Results,
    drafter: str,
    n_slots: int,
) -> None:
    group = RequestGroup(DecodeOptions(assisted=True))
    check(expected, decode(model, windows, n_slots, drafters[drafter], ALWAYS, groups=[group]))
    statistics = group.statistics
    assert 0 < statistics.accepted <= statistics.proposed
    if drafter == "base":
        # Nothing it drafts is wrong, unless it has missed a token.
        assert statistics.accepted == statistics.proposed
        assert statistics.tokens > 3 * statistics.row_steps


def test_windows_that_fall_back_are_drawn_undrafted_and_the_others_drafted_on(
    model: WhisperModel,
    drafters: dict[str, DraftModel],
    windows: list[np.ndarray],
    direct: WhisperModel,
) -> None:
    group, some = RequestGroup(DecodeOptions(assisted=True)), windows[2:]
    check(
        decode(direct, some, 4, fallback=True),
        decode(model, some, 4, drafters["base"], ALWAYS, fallback=True, groups=[group]),
    )
    assert group.statistics.fallbacks > 0
    assert group.statistics.accepted == group.statistics.proposed > 0


def test_tokens_written_without_drafts_are_read_before_the_next_drafts(
    model: WhisperModel,
    drafters: dict[str, DraftModel],
    windows: list[np.ndarray],
    expected: Results,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lengths = itertools.cycle([0, 0, 0, 2, 4, 0, 8, 2])
    monkeypatch.setattr(RecordedDraftLength, "choose", lambda *_: next(lengths))
    group = RequestGroup(DecodeOptions(assisted=True))
    check(expected, decode(model, windows, 4, drafters["base"], groups=[group]))
    assert group.statistics.accepted == group.statistics.proposed > 0


def test_who_does_not_wish_it_gains_and_counts_nothing(
    model: WhisperModel,
    drafters: dict[str, DraftModel],
    windows: list[np.ndarray],
    expected: Results,
) -> None:
    groups = [RequestGroup(DecodeOptions(assisted=assisted)) for assisted in (False, True)]
    check(expected, decode(model, windows, 4, drafters["base"], ALWAYS, groups=groups))
    plain, assisted = (group.statistics for group in groups)
    assert plain.proposed == plain.accepted == 0
    assert plain.tokens > plain.row_steps
    assert assisted.accepted == assisted.proposed > 0


def test_times_decide_on_the_length_and_not_on_the_text(
    model: WhisperModel,
    drafters: dict[str, DraftModel],
    windows: list[np.ndarray],
    expected: Results,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So does a draft model that encodes for itself."""
    monkeypatch.setattr(drafters["base-drafter"], "shares_encoder", False)
    check(expected, decode(model, windows, 4, drafters["base-drafter"]))


def test_a_drafter_of_another_vocabulary_does_not_keep_steps_from_being_recorded(
    checkpoint: Checkpoint,
    model: WhisperModel,
    drafters: dict[str, DraftModel],
    windows: list[np.ndarray],
    expected: Results,
    caplog: pytest.LogCaptureFixture,
) -> None:
    n_replayed = model.backend.replays.n_replayed
    group = RequestGroup(DecodeOptions(assisted=True))
    check(expected, decode(model, windows, 4, drafters["tiny.en"], ALWAYS, groups=[group]))
    assert group.statistics.proposed == 0
    assert model.backend.replays.n_replayed - n_replayed >= group.statistics.steps
    with caplog.at_level(logging.WARNING):
        DraftModel(load_checkpoint(str(MODELS / "whisper-tiny.en")), checkpoint, model)
    assert "another vocabulary" in caplog.text


class Refuses(Replays):
    def record(self, work):
        work()
        raise RuntimeError("operation not permitted when stream is capturing")


def test_a_device_that_records_nothing_drafts_nothing(
    model: WhisperModel,
    drafters: dict[str, DraftModel],
    windows: list[np.ndarray],
    expected: Results,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(model.backend, "replays", Refuses())
    check(expected, decode(model, windows, 4, drafters["base"], ALWAYS))
