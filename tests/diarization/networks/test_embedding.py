"""Embeddings of real speech."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from speech_endpoint.diarization.networks.embedding import (
    FRAMES_PER_S,
    MIN_SAMPLES,
    SpeakerEmbedder,
)
from speech_endpoint.transcript import SAMPLE_RATE_HZ
from speech_endpoint.units import finish


@pytest.fixture(scope="module")
def embedder(diarization_bundle) -> SpeakerEmbedder:
    return SpeakerEmbedder(diarization_bundle / "embedding" / "model.safetensors")


@pytest.fixture(scope="module")
def utterances(phone_call) -> dict[str, list[np.ndarray]]:
    """Of each speaker, what they say for three seconds and more without an interruption."""
    speech: dict[str, list[np.ndarray]] = {}
    for segment, _, speaker in phone_call.reference.itertracks(yield_label=True):
        if segment.duration >= 3:
            start, end = (round(time * SAMPLE_RATE_HZ) for time in segment)
            speech.setdefault(speaker, []).append(phone_call.waveform[start:end])
    return speech


def test_two_utterances_of_one_speaker_are_closer_than_those_of_two(embedder, utterances):
    one, other = ([embedder.embed(speech) for speech in each] for each in utterances.values())
    assert len(one) >= 2 and len(other) >= 2
    of_one_speaker = min(one[0] @ one[1], other[0] @ other[1])
    of_two_speakers = max(a @ b for a, b in product(one, other))
    assert of_one_speaker > of_two_speakers + 0.1


def test_an_embedding_is_a_vector_of_length_one(embedder, utterances):
    for speech in utterances.popitem()[1]:
        embedding = embedder.embed(speech)
        assert embedding.shape == (SpeakerEmbedder.dimension,) and embedding.dtype == np.float32
        assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-5)


def test_the_shortest_utterance_is_embedded_and_a_shorter_one_refused(embedder, phone_call):
    speech = phone_call.waveform[8 * SAMPLE_RATE_HZ :]
    assert np.isfinite(embedder.embed(speech[:MIN_SAMPLES])).all()
    with pytest.raises(ValueError, match=f"at least {MIN_SAMPLES}"):
        embedder.embed(speech[: MIN_SAMPLES - 1])


def test_features_of_a_section_are_those_of_the_recording(embedder, phone_call):
    """From the second block on: each block sees the audio on either side of it."""
    waveform, first = phone_call.waveform, 4 * FRAMES_PER_S
    whole = finish(embedder.frame_features(waveform, 0, len(waveform)))
    section = finish(embedder.frame_features(waveform, first, 8 * FRAMES_PER_S))
    assert len(section) == 8 * FRAMES_PER_S
    torch.testing.assert_close(section, whole[first : first + len(section)], rtol=0.05, atol=0.05)


def test_pooled_embeddings_are_those_of_the_masked_frames_alone(embedder, phone_call):
    waveform = phone_call.waveform[: 12 * SAMPLE_RATE_HZ]
    features = finish(embedder.frame_features(waveform, 0, 12 * FRAMES_PER_S))
    offset = features.mean(dim=0, dtype=torch.float32)
    masks = np.random.default_rng(0).integers(0, 2, (3, 500, 2)).astype(np.uint8)
    masks[1, :, 1] = 0
    pooled = finish(embedder.pool(features, offset, masks, hop=FRAMES_PER_S))
    for chunk, speaker in product(range(3), range(2)):
        part = features[chunk * FRAMES_PER_S :][:500].float()
        chosen = part[torch.from_numpy(masks[chunk, : len(part), speaker]).bool()]
        if len(chosen) == 0:
            assert np.isnan(pooled[chunk, speaker]).all()
            continue
        with torch.inference_mode():
            expected = embedder.network.forward_embedding(chosen.T[None])[0].numpy()
        np.testing.assert_allclose(pooled[chunk, speaker], expected, rtol=1e-2, atol=1e-2)
