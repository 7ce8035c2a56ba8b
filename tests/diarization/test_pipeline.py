"""The fast form of a pyannote pipeline against pyannote's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pyannote.core import SlidingWindow, SlidingWindowFeature

from speech_endpoint.transcript import SAMPLE_RATE_HZ


def file_of(waveform: np.ndarray) -> dict[str, object]:
    return {"waveform": torch.from_numpy(waveform)[None], "sample_rate": SAMPLE_RATE_HZ}


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
