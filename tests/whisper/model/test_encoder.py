"""The encoder, in the number formats that a CPU is given by itself."""

from __future__ import annotations

import pytest
import torch
from paths import AUSTEN, KENNEDY, MODELS, PHONE_CALL

from speech_endpoint.audio.decoding.decode import decode_audio
from speech_endpoint.transcript import SAMPLE_RATE_HZ
from speech_endpoint.whisper.backends import choose_backend
from speech_endpoint.whisper.checkpoint import Checkpoint, load_checkpoint
from speech_endpoint.whisper.model.encoder import Encoder
from speech_endpoint.whisper.model.features import LogMel


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return load_checkpoint(str(MODELS / "whisper-base"))


@pytest.fixture(scope="module")
def log_mel(checkpoint: Checkpoint) -> torch.Tensor:
    waveforms = [
        decode_audio(file.read_bytes(), SAMPLE_RATE_HZ, 60.0)
        for file in (PHONE_CALL, AUSTEN, KENNEDY)
    ]
    return LogMel(checkpoint.config.num_mel_bins, torch.device("cpu"))(waveforms)


@torch.inference_mode()
@pytest.mark.parametrize("quantization", ["auto", "none"])
def test_audio_features_hardly_differ_from_those_of_float32(
    checkpoint: Checkpoint, log_mel: torch.Tensor, quantization: str
) -> None:
    exact = Encoder(checkpoint, choose_backend("cpu", "float32", "none"))(log_mel[:1])
    found = Encoder(checkpoint, choose_backend("cpu", "bfloat16", quantization))(log_mel[:1])
    assert found.dtype == torch.bfloat16
    # Measured: 0.02 in bfloat16, 0.03 with int8, of a deviation of 1.5.
    assert (found.float() - exact).abs().mean() < 0.03 * exact.std()


@torch.inference_mode()
def test_a_window_is_encoded_alike_alone_and_beside_others(
    checkpoint: Checkpoint, log_mel: torch.Tensor
) -> None:
    """To the last bit, and whatever the encoder has encoded before."""
    encoder = Encoder(checkpoint, choose_backend("cpu", "auto", "auto"))
    together = encoder(log_mel)
    for n in (2, 0, 1):
        assert torch.equal(encoder(log_mel[n : n + 1])[0], together[n])


@torch.inference_mode()
def test_the_silence_after_a_short_clip_is_not_encoded(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its frames are the same whatever the clip; what is heard, nearly as in the whole."""
    clips = [decode_audio(file.read_bytes(), SAMPLE_RATE_HZ, 60.0) for file in (AUSTEN, KENNEDY)]
    log_mel = LogMel(checkpoint.config.num_mel_bins, torch.device("cpu"))(clips)
    encoder = Encoder(checkpoint, choose_backend("cpu", "bfloat16", "none"))
    found = encoder(log_mel)
    longest = max(len(clip) for clip in clips) // 320 + 100
    assert torch.equal(found[0, longest:], found[1, longest:])
    monkeypatch.setattr(encoder.backend, "reuses_silence", False)
    whole = encoder(log_mel)
    for clip, mine, theirs in zip(clips, found.float(), whole.float(), strict=True):
        heard = slice(len(clip) // 320)
        # Measured: 0.03 and 0.04; where no silence follows, 0.09 and 0.07.
        assert (mine[heard] - theirs[heard]).abs().mean() < 0.055 * theirs.std()


@torch.inference_mode()
def test_in_float32_every_frame_is_encoded(checkpoint: Checkpoint) -> None:
    """Where tokens are to be those of `generate`, nothing is taken for granted."""
    clip = decode_audio(AUSTEN.read_bytes(), SAMPLE_RATE_HZ, 60.0)
    log_mel = LogMel(checkpoint.config.num_mel_bins, torch.device("cpu"))([clip, clip * 0.5])
    quieter = log_mel[0] - (log_mel[0].amax() - log_mel[1].amax())
    encoder = Encoder(checkpoint, choose_backend("cpu", "float32", "none"))
    features = encoder(torch.stack([log_mel[0], quieter]))
    assert not torch.equal(features[0, -100:], features[1, -100:])
