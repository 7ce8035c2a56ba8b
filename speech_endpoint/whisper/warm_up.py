"""The first steps of a model, which no caller should wait for."""

from __future__ import annotations

import numpy as np
import torch

from speech_endpoint.errors import ModelUnavailable
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Waveform
from speech_endpoint.whisper.batching.admission import MAX_ADMISSION
from speech_endpoint.whisper.batching.engine import Engine
from speech_endpoint.whisper.batching.sequence import DecodeOptions, DecodeRequest, RequestGroup
from speech_endpoint.whisper.batching.speculation import DraftModel
from speech_endpoint.whisper.model.features import WINDOW_S
from speech_endpoint.whisper.model.whisper import WhisperModel

# The first step has no draft, the next has.
WARM_UP_STEPS = 3


def warm_up(model: WhisperModel, draft: DraftModel | None = None) -> None:
    """Begin to decode noise, alone and in a batch, on each of which a GPU loads kernels of its own.

    Args:
        model: decodes.
        draft: drafts for it, if there is such a model.

    Raises:
        ModelUnavailable: the encoder's numbers leave its number format.
    """
    waveform = _noise()
    with torch.inference_mode():
        features = model.encoder(model.log_mel([waveform]))
    if not torch.isfinite(features).all():
        backend = model.backend
        raise ModelUnavailable(
            f"ASR_MODEL computes numbers too large for {backend.number_formats} on"
            f" {backend.device}; set DTYPE to bfloat16 or float32"
        )
    for n_windows in (1, MAX_ADMISSION):
        engine = Engine(model, n_windows, draft)
        group = RequestGroup(DecodeOptions(assisted=draft is not None))
        for n in range(n_windows):
            engine.add(DecodeRequest(group, n, float(n), (waveform,), fallback=False))
        for _ in range(WARM_UP_STEPS):
            engine.step()
    model.backend.synchronize()


def _noise() -> Waveform:
    n_samples = WINDOW_S * SAMPLE_RATE_HZ
    return np.random.default_rng(0).normal(0, 0.05, n_samples).astype(np.float32)
