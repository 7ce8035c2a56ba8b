"""In float32 the decoding loop writes what transformers' `generate` writes, token for token."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import MODELS

from audio_decoding import decode_audio
from config import ModelSettings
from speech_windows import pack_windows
from voice_activity import speech_regions
from whisper_asr.decoding_loop import DecodingStatistics
from whisper_asr.hypothesis import Job
from whisper_asr.transcriber import Transcriber

pytestmark = pytest.mark.core
FILES = ["conversations/phone_call.flac", "conversations/ami_trn07.flac", "formats/benchmark_8s.wav"]


@pytest.fixture(scope="module")
def transcriber() -> Transcriber:
    settings = ModelSettings(
        asr_model=str(MODELS / "whisper-base"),
        assistant_model=str(MODELS / "whisper-base-drafter"),
        dtype="float32",
        quantization="none",
        device="cpu",
    )
    return Transcriber(settings, ".")


@pytest.fixture(scope="module")
def windows(transcriber: Transcriber, data: Path) -> list[np.ndarray]:
    cut = []
    for name in FILES:
        waveform = decode_audio((data / name).read_bytes(), 16_000, 600)
        probabilities = transcriber.voice_activity(waveform)
        packed = pack_windows(speech_regions(probabilities, waveform.size / 16_000), probabilities, 30.0)
        cut += [window.cut(waveform) for window in packed]
    return cut


def decode(
    transcriber: Transcriber, windows: list[np.ndarray], batch_size: int, assisted: bool = False
) -> list[list[int]]:
    queue = deque(Job(n, window, "en") for n, window in enumerate(windows))
    statistics = DecodingStatistics()
    drafter = transcriber.drafter if assisted else None
    found = {
        h.job.index: list(h.tokens) for h in transcriber.loop.run(queue, batch_size, drafter, statistics, retry=False)
    }
    if assisted:
        assert statistics.drafted > 0
    return [found[n] for n in range(len(windows))]


def test_tokens_equal_generate(transcriber: Transcriber, windows: list[np.ndarray]) -> None:
    from transformers import WhisperForConditionalGeneration

    network = WhisperForConditionalGeneration.from_pretrained(MODELS / "whisper-base").eval()
    ours = decode(transcriber, windows, batch_size=len(windows))
    for window, tokens in zip(windows, ours, strict=True):
        features = transcriber.loop.log_mel([window])
        with torch.inference_mode():
            expected = network.generate(features, language="en", task="transcribe", return_timestamps=True)[0].tolist()
        vocabulary = transcriber.vocabulary
        prompt = [vocabulary.start, vocabulary.languages["en"], vocabulary.tasks["transcribe"]]
        expected = [token for token in expected if token not in (*prompt, vocabulary.end)]
        assert tokens == expected, vocabulary.text(tokens) + " // " + vocabulary.text(expected)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_drafting_does_not_change_a_token(transcriber: Transcriber, windows: list[np.ndarray], batch_size: int) -> None:
    assert decode(transcriber, windows, batch_size, assisted=True) == decode(transcriber, windows, batch_size)
