"""The fast pipelines against pyannote's own, and long recordings section by section."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pyannote.core import SlidingWindow, SlidingWindowFeature

from speech_endpoint.transcript import SAMPLE_RATE_HZ


def file_of(waveform: np.ndarray) -> dict[str, object]:
    return {"waveform": torch.from_numpy(waveform)[None], "sample_rate": SAMPLE_RATE_HZ}


def difference_by_sections(bundle, waveform: np.ndarray, section_chunks: int) -> float:
    """The diarization error rate of a recording in sections, measured against it in one."""
    from pyannote.metrics.diarization import DiarizationErrorRate

    from speech_endpoint.diarization.bundle import BundledSpeakerDiarization

    at_once, in_sections = (
        pipeline(file_of(waveform)).speaker_diarization
        for pipeline in (
            BundledSpeakerDiarization(bundle),
            BundledSpeakerDiarization(bundle, section_chunks=section_chunks),
        )
    )
    assert len(in_sections.labels()) == len(at_once.labels()) >= 2
    return DiarizationErrorRate(collar=0.0)(at_once, in_sections)


def test_a_call_in_sections_of_four_seconds_is_diarized_as_in_one(diarization_bundle, phone_call):
    assert difference_by_sections(diarization_bundle, phone_call.waveform, 4) <= 0.005


def test_a_conversation_in_sections_is_diarized_as_in_one(diarization_bundle, conversation):
    waveform = conversation("four_speakers").waveform
    assert difference_by_sections(diarization_bundle, waveform, 12) <= 0.005


def test_frames_once_per_chunk_give_the_embeddings_of_pyannote(diarization_bundle):
    """A Hub pipeline's kind of embedding, WeSpeaker, here with random weights."""
    from pyannote.audio.models.embedding import WeSpeakerResNet34
    from pyannote.audio.pipelines import SpeakerDiarization

    from speech_endpoint.diarization.pipeline import FastSpeakerDiarization

    torch.manual_seed(0)
    slow = SpeakerDiarization(
        segmentation=str(diarization_bundle / "segmentation" / "pytorch_model.bin"),
        plda=str(diarization_bundle / "plda"),
        embedding=WeSpeakerResNet34().eval(),
        embedding_exclude_overlap=True,
        embedding_batch_size=4,
    )
    slow.instantiate(slow.default_parameters())
    fast = FastSpeakerDiarization.from_pipeline(slow)
    assert isinstance(fast, FastSpeakerDiarization)
    assert fast.parameters(instantiated=True) == slow.parameters(instantiated=True)
    random = np.random.default_rng(0)
    file = file_of(random.standard_normal(185_000).astype(np.float32))
    active = np.repeat(random.integers(0, 2, (3, 19, 3)), 31, axis=1).astype(np.float32)
    masks = SlidingWindowFeature(active, SlidingWindow(start=0, duration=10, step=1))
    for exclude_overlap in (True, False):
        expected = slow.get_embeddings(file, masks, exclude_overlap=exclude_overlap)
        np.testing.assert_allclose(
            fast.get_embeddings(file, masks, exclude_overlap=exclude_overlap),
            expected,
            rtol=1e-3,
            atol=1e-4,
        )


@pytest.mark.pure
def test_a_pipeline_of_another_kind_is_left_as_it_is():
    from speech_endpoint.diarization.pipeline import FastSpeakerDiarization

    other = object()
    assert FastSpeakerDiarization.from_pipeline(other) is other
