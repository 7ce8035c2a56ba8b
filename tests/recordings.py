"""Recordings whose windows are answered by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from decoded import GOOD, RATE_HZ, Sentence, decoded, written

from speech_endpoint.audio.vad import FRAME_S
from speech_endpoint.audio.windows import Window
from speech_endpoint.intervals import Interval
from speech_endpoint.transcript import Segment
from speech_endpoint.transcription.recording import (
    DetectedSpeech,
    RecordingDecoder,
)
from speech_endpoint.whisper.batching.sequence import (
    DecodeRequest,
    DecodeResult,
    RequestGroup,
)
from speech_endpoint.whisper.tokenizer import Tokenizer

RECORDING_S, WORD_S = 60.0, 0.5
UNLIKELY = replace(GOOD, mean_log_probability=-1.3)


def window(*spans: tuple[float, float]) -> Window:
    return Window(tuple(Interval(*span) for span in spans))


def recording(tokenizer: Tokenizer, *windows: Window) -> RecordingDecoder:
    """A recording with speech in its windows and nowhere else."""
    speech = DetectedSpeech(
        np.zeros(round(RECORDING_S * RATE_HZ), np.float32),
        np.full(round(RECORDING_S / FRAME_S), 0.9, np.float32),
        [span for window in windows for span in window.spans],
    )
    return RecordingDecoder(speech, windows, 30.0, RequestGroup(), tokenizer)


def spoken(word: str, start: float, end: float) -> Sentence:
    """A sentence that says one word over and over, twice a second: it leaves no gap."""
    return start, f" {word}" * max(1, round((end - start) / WORD_S)), end


def duration_s(request: DecodeRequest) -> float:
    return request.n_samples / RATE_HZ


def covered(tokenizer: Tokenizer, request: DecodeRequest, word: str) -> DecodeResult:
    """All of a window's time is filled."""
    return decoded(request, written(tokenizer, [spoken(word, 0.0, duration_s(request))]))


def said(segments: Sequence[Segment]) -> list[str]:
    """The words of each segment, those that follow upon themselves once."""
    return [" ".join(dict.fromkeys(segment.text.split())) for segment in segments]
