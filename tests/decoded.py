"""Windows and what a model might have written for them, made by hand."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from speech_endpoint.whisper.attention import frames_of, normalized_attention
from speech_endpoint.whisper.batching.sequence import DecodeRequest, DecodeResult, RequestGroup
from speech_endpoint.whisper.fallback import TextQuality
from speech_endpoint.whisper.model.features import AUDIO_FRAMES
from speech_endpoint.whisper.tokenizer import Tokenizer

RATE_HZ, FRAME_S = 16_000, 0.02
GOOD = TextQuality(
    mean_log_probability=-0.2,
    compression_ratio=1.4,
    repeats_itself=False,
    no_speech_probability=0.01,
)

Sentence = tuple[float, str, float]
"""Start, text and end; seconds from the window's start."""


def window_request(duration_s: float) -> DecodeRequest:
    """A window of silence at the beginning of a recording."""
    return DecodeRequest(RequestGroup(), 0, 0.0, (np.zeros(round(duration_s * RATE_HZ)),))


def written(tokenizer: Tokenizer, sentences: Sequence[Sentence]) -> list[int]:
    """The tokens of sentences, each between its two timestamps."""
    tokens: list[int] = []
    for start, text, end in sentences:
        first, last = (tokenizer.first_timestamp + round(time / FRAME_S) for time in (start, end))
        tokens += [first, *tokenizer.encode(text), last]
    return tokens


def decoded(
    request: DecodeRequest,
    tokens: Sequence[int],
    *,
    language: str = "en",
    quality: TextQuality = GOOD,
    alignment: torch.Tensor | None = None,
) -> DecodeResult:
    """What the engine would hand out; without alignment, times come from the timestamps."""
    n_frames = frames_of(request.duration_s)
    return DecodeResult(
        request=request,
        language=language,
        tokens=tuple(tokens),
        log_probabilities=(-0.1,) * len(tokens),
        quality=quality,
        temperature=0.0,
        attention=None if alignment is None else partial(normalized_attention, alignment, n_frames),
    )


def alignment_with(start_frames: Sequence[int], n_heads: int = 2) -> torch.Tensor:
    """Weights of heads that look at each token's frames alone, from its start to the next one's.

    Args:
        start_frames: of each token, and then the frame at which the audio ends.

    Returns:
        (heads, tokens + 1, 1500): the end of text looks at the last frame of the audio, and all of
        them look somewhere in what lies behind it, which has to be ignored.
    """
    n_rows = len(start_frames)
    weights = torch.zeros(n_heads, n_rows, AUDIO_FRAMES)
    for row, (start, end) in enumerate(itertools.pairwise(start_frames)):
        weights[:, row, start:end] = 1.0
    weights[:, -1, start_frames[-1] - 1] = 1.0
    noise = torch.rand(weights.shape, generator=torch.Generator().manual_seed(0))
    weights[:, :, start_frames[-1] :] = noise[:, :, start_frames[-1] :]
    return weights
