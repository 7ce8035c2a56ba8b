"""The pipeline of models/speaker-diarization on real conversations."""

from __future__ import annotations

import gc
import itertools
import json
import warnings
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from paths import REPOSITORY
from pyannote.core import Annotation, Segment, Timeline

from speech_endpoint.config import ModelSettings
from speech_endpoint.diarization.diarizer import BUNDLE_TYPE, Diarizer
from speech_endpoint.errors import ModelUnavailable
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Diarization, SpeakerTurn


def error_rate(conversation, turns: tuple[SpeakerTurn, ...]) -> float:
    """Diarization error rate without a collar."""
    from pyannote.metrics.diarization import DiarizationErrorRate

    hypothesis = Annotation()
    for n, turn in enumerate(turns):
        hypothesis[Segment(turn.start, turn.end), n] = turn.speaker
    whole = Timeline([Segment(0, len(conversation.waveform) / SAMPLE_RATE_HZ)])
    return DiarizationErrorRate(collar=0.0)(conversation.reference, hypothesis, uem=whole)


def speakers(diarization: Diarization) -> set[str]:
    return {turn.speaker for turn in diarization.turns}


@pytest.fixture(scope="module")
def diarizer(diarization_bundle) -> Diarizer:
    return Diarizer(str(diarization_bundle), token=None, device="cpu")


def test_the_two_sides_of_a_phone_call_are_told_apart(diarizer, phone_call):
    diarization = diarizer(phone_call.waveform)
    assert len(speakers(diarization)) == 2
    assert error_rate(phone_call, diarization.turns) <= 0.08


def test_exclusive_turns_are_of_the_same_speakers_and_never_overlap(diarizer, phone_call):
    diarization = diarizer(phone_call.waveform)
    exclusive = diarization.exclusive_turns
    assert all(one.end <= other.start + 1e-6 for one, other in itertools.pairwise(exclusive))
    assert {turn.speaker for turn in exclusive} == speakers(diarization)


def test_turns_come_with_the_probability_that_the_speaker_is_right(diarizer, phone_call):
    told = diarizer(phone_call.waveform).exclusive_turns
    assert all(turn.confidence is not None and 0 < turn.confidence < 1 for turn in told)
    assert max(turn.confidence for turn in told) > 0.95


def test_each_speaker_comes_with_an_embedding_of_their_speech(
    diarizer, diarization_bundle, phone_call
):
    from speech_endpoint.diarization.networks.embedding import SpeakerEmbedder

    embedder = SpeakerEmbedder(diarization_bundle / "embedding" / "model.safetensors")
    diarization = diarizer(phone_call.waveform)
    assert diarization.embeddings.keys() == speakers(diarization)
    for speaker in speakers(diarization):
        turns = [turn for turn in diarization.exclusive_turns if turn.speaker == speaker]
        longest = max(turns, key=lambda turn: turn.end - turn.start)
        start, end = (round(time * SAMPLE_RATE_HZ) for time in (longest.start, longest.end))
        own = embedder.embed(phone_call.waveform[start:end])
        similarity = {name: own @ other for name, other in diarization.embeddings.items()}
        assert max(similarity, key=similarity.__getitem__) == speaker


def test_readers_that_segmentation_takes_for_one_are_told_apart(diarizer, conversation):
    """Half of its local speakers are two readers; without change detection, 0.20 and more."""
    readers = conversation("three_speakers_overlap")
    diarization = diarizer(readers.waveform)
    assert len(speakers(diarization)) == 3
    assert error_rate(readers, diarization.turns) <= 0.12


@pytest.mark.parametrize("count", [1, 2])
def test_the_number_of_speakers_is_respected(diarizer, phone_call, count):
    assert len(speakers(diarizer(phone_call.waveform, num_speakers=count))) == count


def test_the_largest_number_of_speakers_is_respected(diarizer, phone_call):
    assert len(speakers(diarizer(phone_call.waveform, max_speakers=1))) == 1


@pytest.mark.parametrize("asked", [{"num_speakers": 7}, {"min_speakers": 5, "max_speakers": 5}])
def test_more_speakers_than_there_are_take_no_turn_from_those_who_are(diarizer, phone_call, asked):
    diarization = diarizer(phone_call.waveform, **asked)
    assert error_rate(phone_call, diarization.turns) <= 0.12


@pytest.mark.parametrize("samples", [0, 1, 800, 8_000, 15 * SAMPLE_RATE_HZ])
def test_nobody_speaks_in_silence(diarizer, samples):
    assert diarizer(np.zeros(samples, np.float32)) == Diarization()


@pytest.mark.parametrize("seconds", [0.3, 1.0, 3.0, 9.99, 10.0, 10.01, 11.0])
def test_turns_of_short_recordings_lie_within_them(diarizer, phone_call, seconds):
    start = 7 * SAMPLE_RATE_HZ
    excerpt = phone_call.waveform[start : start + round(seconds * SAMPLE_RATE_HZ)]
    diarization = diarizer(excerpt)
    assert all(
        0 <= turn.start < turn.end <= seconds
        for turn in diarization.turns + diarization.exclusive_turns
    )


def test_the_threads_of_torch_are_left_as_they_were(diarizer, phone_call):
    threads = torch.get_num_threads()
    diarizer(phone_call.waveform[: 11 * SAMPLE_RATE_HZ])
    assert torch.get_num_threads() == threads


def units_of(diarizer: Diarizer, waveform: np.ndarray) -> Iterator[tuple[SpeakerTurn, ...] | None]:
    """None after each unit, at the end the exclusive turns."""
    diarization = yield from diarizer.stream(waveform)
    yield diarization.exclusive_turns


def test_two_recordings_in_turn_are_diarized_as_each_by_itself(diarizer, phone_call):
    whole, excerpt = phone_call.waveform, phone_call.waveform[: 12 * SAMPLE_RATE_HZ]
    in_turn = list(zip(units_of(diarizer, whole), units_of(diarizer, excerpt), strict=False))
    assert len(in_turn) > 5
    assert in_turn[-1][1] == diarizer(excerpt).exclusive_turns
    *units, found = units_of(diarizer, whole)
    assert not any(units) and found == diarizer(whole).exclusive_turns


def test_between_two_units_the_process_is_as_it_was(diarizer, phone_call, tf32):
    tf32(True, True)
    threads, filters = torch.get_num_threads(), list(warnings.filters)
    for _ in diarizer.stream(phone_call.waveform):
        assert torch.get_num_threads() == threads
        assert tf32() == (True, True)
        assert warnings.filters == filters


def test_a_diarization_that_is_given_up_half_way_frees_its_memory(diarizer, phone_call):
    def tensors() -> int:
        return sum(torch.is_tensor(each) for each in gc.get_objects())

    waveform = phone_call.waveform.copy()
    gc.collect()
    before = tensors()
    n_units = sum(1 for _ in diarizer.stream(waveform))
    units = diarizer.stream(waveform)
    for _ in range(n_units // 2):
        next(units)
    held = weakref.ref(waveform)
    del waveform
    assert held() is not None and tensors() > before
    units.close()
    gc.collect()
    assert held() is None and tensors() == before
    assert speakers(diarizer(phone_call.waveform))


@pytest.fixture
def tf32():
    """Whether TF32 is on for matrix products and for cuDNN; both settings are restored."""
    backends = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [backend.allow_tf32 for backend in backends]

    def read_or_set(*allowed: bool) -> tuple[bool, ...]:
        for backend, value in zip(backends, allowed, strict=False):
            backend.allow_tf32 = value
        return tuple(backend.allow_tf32 for backend in backends)

    yield read_or_set
    read_or_set(*before)


def test_the_settings_name_a_pipeline_of_the_repository(diarization_bundle, phone_call):
    settings = ModelSettings(diarization_model="models/speaker-diarization", device="cpu")
    diarizer = Diarizer.from_settings(settings, str(REPOSITORY))
    assert len(speakers(diarizer(phone_call.waveform))) == 2


@pytest.mark.pure
def test_settings_without_a_pipeline_load_none():
    assert Diarizer.from_settings(ModelSettings(diarization_model=None), str(REPOSITORY)) is None


@pytest.mark.pure
@pytest.mark.parametrize("allowed", [False, True])
def test_the_settings_say_whether_pyannote_may_report_its_usage(monkeypatch, tmp_path, allowed):
    monkeypatch.setenv("PYANNOTE_METRICS_ENABLED", str(int(allowed)))
    with pytest.raises(ModelUnavailable):
        Diarizer.from_settings(ModelSettings(diarization_model=str(tmp_path)), str(REPOSITORY))
    from pyannote.audio.telemetry.metrics import is_metrics_enabled

    assert is_metrics_enabled() is allowed


@pytest.mark.pure
def test_the_cause_of_a_failed_load_is_logged_without_the_token(monkeypatch, caplog):
    def fail(*_, **__):
        raise OSError("no answer to Authorization: Bearer hf_secret")

    monkeypatch.setattr("speech_endpoint.diarization.loading.load_pipeline", fail)
    with pytest.raises(ModelUnavailable, match=r"'some/model' .* \(OSError\)") as raised:
        Diarizer("some/model", token="hf_secret", device="cpu")
    assert "no answer" in caplog.text and "no answer" not in str(raised.value)
    assert "Traceback" in caplog.text and "in fail" in caplog.text
    assert "hf_secret" not in caplog.text and "Bearer <HF_TOKEN>" in caplog.text
    assert raised.value.__cause__ is None and raised.value.__suppress_context__


@pytest.mark.pure
def test_a_broken_bundle_is_named_without_its_path(tmp_path, caplog):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "config.json").write_text(json.dumps({"type": BUNDLE_TYPE}))
    with pytest.raises(ModelUnavailable, match=r"'bundle' .* \(KeyError\)") as raised:
        Diarizer(str(bundle), token=None, device="cpu")
    assert str(tmp_path) not in str(raised.value)
    assert "segmentation" in caplog.text


@pytest.mark.pure
@pytest.mark.parametrize("telemetry", [False, True])
def test_pyannote_reports_its_usage_only_where_that_is_allowed(monkeypatch, tmp_path, telemetry):
    monkeypatch.setenv("PYANNOTE_METRICS_ENABLED", "0")
    with pytest.raises(ModelUnavailable):
        Diarizer(str(tmp_path), token=None, device="cpu", telemetry=telemetry)
    from pyannote.audio.telemetry.metrics import is_metrics_enabled

    assert is_metrics_enabled() is telemetry
