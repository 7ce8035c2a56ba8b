"""The real pipeline of models/speaker-diarization on a real phone call; and what needs no model."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch

from speech_endpoint.diarization.diarizer import Diarizer, make_exclusive, to_diarization
from speech_endpoint.transcript import Diarization, SpeakerTurn

ROOT = Path(__file__).resolve().parent.parent
CONVERSATIONS = (
    Path(os.environ.get("SPEECH_DATA", ROOT.parent / "shared" / "data")) / "conversations"
)
BUNDLE = Path(os.environ.get("SPEECH_MODELS", ROOT / "models")) / "speaker-diarization"
RATE_HZ = 16_000

needs_model = pytest.mark.skipif(
    not (BUNDLE / "config.json").is_file(), reason="run tools/build_models first"
)
needs_data = pytest.mark.skipif(
    not CONVERSATIONS.is_dir(), reason="set SPEECH_DATA to the test data"
)


def read(name: str) -> np.ndarray:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE_HZ)
    with av.open(str(CONVERSATIONS / f"{name}.flac")) as container:
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames + resampler.resample(None)])


def error_rate(name: str, turns: tuple[SpeakerTurn, ...], duration: float) -> float:
    """Diarization error rate without a collar."""
    from pyannote.core import Annotation, Segment, Timeline
    from pyannote.metrics.diarization import DiarizationErrorRate

    reference, heard = Annotation(), Annotation()
    for n, line in enumerate((CONVERSATIONS / f"{name}.rttm").read_text().splitlines()):
        fields = line.split()
        reference[Segment(float(fields[3]), float(fields[3]) + float(fields[4])), n] = fields[7]
    for n, turn in enumerate(turns):
        heard[Segment(turn.start, turn.end), n] = turn.speaker
    return DiarizationErrorRate(collar=0.0)(reference, heard, uem=Timeline([Segment(0, duration)]))


def speakers(diarization: Diarization) -> list[str]:
    return list(dict.fromkeys(turn.speaker for turn in diarization.turns))


@pytest.fixture(scope="module")
def diarizer() -> Diarizer:
    return Diarizer(str(BUNDLE), token=None, device="cpu")


@needs_model
@needs_data
def test_phone_call(diarizer):
    waveform = read("phone_call")
    found = diarizer(waveform)
    assert speakers(found) == ["SPEAKER_00", "SPEAKER_01"]
    assert error_rate("phone_call", found.turns, len(waveform) / RATE_HZ) <= 0.06
    exclusive = found.exclusive_turns
    assert all(one.end <= other.start + 1e-6 for one, other in itertools.pairwise(exclusive))
    assert {turn.speaker for turn in exclusive} == set(speakers(found))


@needs_model
@needs_data
def test_readers_that_segmentation_takes_for_one_are_told_apart(diarizer):
    """Half of this recording's voices are two readers'; 0.20 and more when only whole voices are clustered."""
    waveform = read("three_speakers_overlap")
    found = diarizer(waveform)
    assert len(speakers(found)) == 3
    assert error_rate("three_speakers_overlap", found.turns, len(waveform) / RATE_HZ) <= 0.12


@needs_model
@needs_data
def test_a_long_recording_is_heard_in_stretches_as_in_one(diarizer, monkeypatch):
    """Ten minutes are one stretch; here twelve seconds are, of two minutes."""
    import speech_endpoint.diarization.pipeline as fast_diarization

    waveform = read("four_speakers")
    at_once = diarizer(waveform)
    monkeypatch.setattr(fast_diarization, "STRETCH_WINDOWS", 12)
    in_stretches = diarizer(waveform)
    assert len(waveform) / RATE_HZ > 5 * 12
    assert speakers(in_stretches) == speakers(at_once)
    duration = len(waveform) / RATE_HZ
    rates = [
        error_rate("four_speakers", found.turns, duration) for found in (at_once, in_stretches)
    ]
    assert rates[1] == pytest.approx(rates[0], abs=0.005)


@needs_model
@needs_data
@pytest.mark.parametrize(("half", "most"), [(False, 0.001), (True, 0.02)])
def test_segmentation_of_overlapping_windows_is_that_of_each(diarizer, half, most):
    from speech_endpoint.diarization.segmentation import OverlappingWindows

    inference = diarizer._pipeline._segmentation
    windows = torch.from_numpy(read("ami_dev00")).unfold(0, 10 * RATE_HZ, RATE_HZ)[:, None]
    each = inference.infer(windows.contiguous())
    together = inference.conversion(OverlappingWindows(inference.model, half)(windows)).numpy()
    assert each.sum() > 0
    assert (each != together).any(axis=2).mean() <= most


@needs_model
@needs_data
@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_number_of_speakers_is_respected(diarizer, count):
    assert len(speakers(diarizer(read("phone_call"), num_speakers=count))) == count


@needs_model
@needs_data
def test_limits_are_respected(diarizer):
    waveform = read("two_speakers")
    assert len(speakers(diarizer(waveform))) == 2
    assert len(speakers(diarizer(waveform, max_speakers=1))) == 1
    assert len(speakers(diarizer(waveform, min_speakers=3))) == 3


@needs_model
@pytest.mark.parametrize("samples", [0, 1, 800, 8_000, 15 * RATE_HZ])
def test_silence_is_nobody(diarizer, samples):
    assert diarizer(np.zeros(samples, np.float32)) == Diarization((), ())


@needs_model
@needs_data
@pytest.mark.parametrize("seconds", [0.3, 1.0, 3.0, 9.99, 10.0, 10.01, 11.0])
def test_short_recordings(diarizer, seconds):
    found = diarizer(read("phone_call")[7 * RATE_HZ :][: round(seconds * RATE_HZ)])
    assert all(
        0 <= turn.start < turn.end <= seconds for turn in found.turns + found.exclusive_turns
    )


@needs_model
@needs_data
def test_torch_is_left_as_it_was(diarizer):
    matmul, threads = torch.backends.cuda.matmul.allow_tf32, torch.get_num_threads()
    try:
        torch.backends.cuda.matmul.allow_tf32 = True
        diarizer(read("phone_call")[: 11 * RATE_HZ])
        assert torch.backends.cuda.matmul.allow_tf32
        assert torch.get_num_threads() == threads
    finally:
        torch.backends.cuda.matmul.allow_tf32 = matmul


@needs_model
def test_frames_once_gives_the_embeddings_of_pyannote():
    """A Hub pipeline's kind of embedding (WeSpeaker, here with random weights): the same numbers, sooner."""
    from pyannote.audio.models.embedding import WeSpeakerResNet34
    from pyannote.audio.pipelines import SpeakerDiarization
    from pyannote.core import SlidingWindow, SlidingWindowFeature

    from speech_endpoint.diarization.pipeline import WindowedSpeakerDiarization

    torch.manual_seed(0)
    slow = SpeakerDiarization(
        segmentation=str(BUNDLE / "segmentation" / "pytorch_model.bin"), plda=str(BUNDLE / "plda"),
        embedding=WeSpeakerResNet34().eval(), embedding_exclude_overlap=True, embedding_batch_size=4,
    )  # fmt: skip
    slow.instantiate(slow.default_parameters())
    fast = WindowedSpeakerDiarization.from_pipeline(slow)
    assert isinstance(fast, WindowedSpeakerDiarization)
    assert fast.parameters(instantiated=True) == slow.parameters(instantiated=True)
    random = np.random.default_rng(0)
    file = {
        "waveform": torch.from_numpy(random.standard_normal((1, 185_000)).astype(np.float32)),
        "sample_rate": RATE_HZ,
    }
    active = np.repeat(random.integers(0, 2, (3, 19, 3)), 31, axis=1).astype(np.float32)
    masks = SlidingWindowFeature(active, SlidingWindow(start=0, duration=10, step=1))
    expected = slow.get_embeddings(file, masks, exclude_overlap=True)
    np.testing.assert_allclose(
        fast.get_embeddings(file, masks, exclude_overlap=True), expected, rtol=1e-3, atol=1e-4
    )


def test_as_many_people_talk_in_a_frame_as_are_counted():
    """Those with most votes; nobody where nobody is counted, somebody unknown where too few were told apart."""
    from pyannote.core import SlidingWindow, SlidingWindowFeature

    from speech_endpoint.diarization.pipeline import LocalSpeakerDiarization

    random = np.random.default_rng(0)
    frames = SlidingWindow(start=0, duration=0.02, step=0.02)
    windows = SlidingWindowFeature(
        random.integers(0, 2, (4, 500, 3)), SlidingWindow(start=0, duration=10, step=1)
    )
    counts = random.integers(0, 3, (650, 1)).astype(np.uint8)
    for persons in (np.tile([0, 1, 2], (4, 1)), np.tile([0, -2, -2], (4, 1)), np.full((4, 3), -2)):
        talks = LocalSpeakerDiarization.reconstruct(
            None, windows, persons, SlidingWindowFeature(counts, frames)
        )
        np.testing.assert_array_equal(talks.data.sum(axis=1), counts[:, 0])
    always = SlidingWindowFeature(np.tile([1, 0, 0], (1, 500, 1)), windows.sliding_window)
    one = SlidingWindowFeature(np.ones((500, 1), np.uint8), frames)
    talks = LocalSpeakerDiarization.reconstruct(None, always, np.array([[1, 0, 2]]), one)
    assert (talks.data == [0, 1, 0]).all()


def test_a_model_that_cannot_be_loaded_is_named_without_the_token(monkeypatch):
    pytest.importorskip("pyannote.audio")
    from pyannote.audio import Pipeline

    monkeypatch.setattr(Pipeline, "from_pretrained", lambda *_, **__: None)
    with pytest.raises(RuntimeError, match="some/model") as raised:
        Diarizer("some/model", token="hf_secret", device="cpu")
    assert "hf_secret" not in str(raised.value)


def annotation(*turns: tuple[float, float, str]) -> SimpleNamespace:
    tracks = [
        (SimpleNamespace(start=start, end=end), n, who) for n, (start, end, who) in enumerate(turns)
    ]
    return SimpleNamespace(itertracks=lambda yield_label: iter(tracks))


def test_a_bare_annotation_gets_exclusive_turns_and_names_by_first_appearance():
    found = to_diarization(annotation((1.0, 3.0, "x"), (0.0, 2.0, "z")), duration=2.5)
    assert found.turns == (SpeakerTurn("SPEAKER_00", 0.0, 2.0), SpeakerTurn("SPEAKER_01", 1.0, 2.5))
    assert found.exclusive_turns == (
        SpeakerTurn("SPEAKER_00", 0.0, 1.0),
        SpeakerTurn("SPEAKER_01", 1.0, 2.5),
    )


def test_both_kinds_of_turns_bear_the_same_names():
    output = SimpleNamespace(
        speaker_diarization=annotation((0.0, 1.0, "b"), (1.0, 2.0, "a")),
        exclusive_speaker_diarization=annotation((1.0, 2.0, "a")),
    )
    assert to_diarization(output, 2.0).exclusive_turns == (SpeakerTurn("SPEAKER_01", 1.0, 2.0),)


def test_an_interruption_has_the_floor_and_gives_it_back():
    turns = [SpeakerTurn("a", 0.0, 4.0), SpeakerTurn("b", 1.0, 2.0)]
    assert make_exclusive(turns) == [
        SpeakerTurn("a", 0.0, 1.0),
        SpeakerTurn("b", 1.0, 2.0),
        SpeakerTurn("a", 2.0, 4.0),
    ]
