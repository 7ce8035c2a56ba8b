"""pyannote's segmentation network with a shared front end, against the network itself."""

from __future__ import annotations

import pytest
import torch
from pyannote.audio import Model
from pyannote.audio.models.segmentation import PyanNet
from pyannote.audio.utils.powerset import Powerset

from speech_endpoint.diarization.networks.segmentation import FavourOverlap, SharedFrontEndPyanNet
from speech_endpoint.transcript import SAMPLE_RATE_HZ


@pytest.fixture(scope="module")
def model(diarization_bundle) -> PyanNet:
    return Model.from_pretrained(diarization_bundle / "segmentation" / "pytorch_model.bin").eval()


@pytest.mark.parametrize(
    ("dtype", "chunks_at_once", "max_changed"),
    [(torch.float32, 1, 0.001), (torch.float32, 8, 0.001), (torch.bfloat16, 1, 0.02)],
)
def test_overlapping_chunks_are_scored_as_each_by_itself(
    model, phone_call, dtype, chunks_at_once, max_changed
):
    waveform = torch.from_numpy(phone_call.waveform)
    chunks = waveform.unfold(0, 10 * SAMPLE_RATE_HZ, SAMPLE_RATE_HZ)[:, None]
    with torch.inference_mode():
        expected = model(chunks.contiguous()).argmax(dim=-1)
    network = SharedFrontEndPyanNet(model).to(torch.device("cpu"), dtype)
    network.chunks_at_once = chunks_at_once
    classes = network(chunks).argmax(dim=-1)
    assert len(expected.unique()) > 2
    assert (classes != expected).float().mean() <= max_changed


def test_chunks_must_begin_where_the_first_convolution_has_an_output(model):
    assert SharedFrontEndPyanNet.supports(model, hop=SAMPLE_RATE_HZ)
    assert not SharedFrontEndPyanNet.supports(model, hop=SAMPLE_RATE_HZ + 1)


@pytest.mark.pure
def test_networks_of_another_kind_are_not_supported():
    assert not SharedFrontEndPyanNet.supports(torch.nn.Identity(), hop=SAMPLE_RATE_HZ)


SPEAKING = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))


@pytest.mark.pure
def test_two_voices_that_are_nearly_as_likely_as_one_are_heard():
    powerset = Powerset(num_classes=3, max_set_size=2)
    silence, one, two = (powerset.to_powerset(torch.tensor([[a, b, 0.0]])) for a, b in SPEAKING)
    favour = FavourOverlap(powerset, log_prior=0.5)
    assert favour(one + 0.7 * two).tolist() == [[1, 1, 0]]
    assert favour(one + 0.3 * two).tolist() == [[1, 0, 0]]
    assert favour(silence + 0.3 * two).tolist() == [[0, 0, 0]]
