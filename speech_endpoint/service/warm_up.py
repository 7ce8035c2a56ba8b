"""What is done once before the first request, so that no caller pays for it."""

from __future__ import annotations

import time

import numpy as np

from speech_endpoint.pipeline import SpeechPipeline
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Waveform
from speech_endpoint.units import finish
from speech_endpoint.whisper.batching.engine import Engine
from speech_endpoint.whisper.batching.sequence import DecodeOptions, DecodeRequest, RequestGroup

DURATION_S = 3.0
WINDOW_S = 30.0
PITCH_HZ, SYLLABLES_HZ = 130.0, 4.0
SEED = 0
# What sounds like speech and is none is soon written: words take longer.
CAUTION = 0.5


def warm_up(pipeline: SpeechPipeline, n_slots: int) -> float:
    """Run every path once: kernels are chosen, libraries loaded, memory is there.

    Returns:
        How fast windows are decoded, seconds of audio a second: rather too low.
    """
    sound = speechlike(DURATION_S)
    pipeline.transcriber.vad(sound)
    if pipeline.diarizer is not None:
        finish(pipeline.diarizer.stream(sound))
    decode_harmless(pipeline, n_slots)
    return CAUTION * WINDOW_S / decode_harmless(pipeline, n_slots)


def decode_harmless(pipeline: SpeechPipeline, n_slots: int = 1) -> float:
    """Decode a window that is known to be no trouble, in an engine of its own.

    Returns:
        The seconds that it took.

    Raises:
        Exception: the models are of no use, whatever is to be decoded.
    """
    transcriber = pipeline.transcriber
    engine = Engine(transcriber.model, min(2, n_slots), transcriber.draft, transcriber.draft_policy)
    group = RequestGroup(DecodeOptions(assisted=transcriber.draft is not None))
    started = time.perf_counter()
    engine.add(DecodeRequest(group, 0, 0.0, (speechlike(DURATION_S),), fallback=False))
    while engine.busy:
        engine.step()
    return time.perf_counter() - started


def speechlike(duration_s: float) -> Waveform:
    """A buzz in syllables with some breath: no words, but what networks take for a voice."""
    time_s = np.arange(round(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    buzz = sum(np.sin(2 * np.pi * PITCH_HZ * n * time_s) / n for n in range(1, 20))
    breath = np.random.default_rng(SEED).normal(size=time_s.size)
    loudness = np.clip(np.sin(2 * np.pi * SYLLABLES_HZ * time_s), 0.0, 1.0)
    sound: Waveform = (0.1 * loudness * (buzz + 0.1 * breath)).astype(np.float32)
    return sound
