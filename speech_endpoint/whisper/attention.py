"""Where the alignment heads looked while the text was written."""

from __future__ import annotations

import torch
from torch.nn import functional as F

MEDIAN_FRAMES = 7


def normalized_attention(alignment: torch.Tensor, n_frames: int) -> torch.Tensor:
    """How much more a token looks at a frame than the other tokens do, as in openai/whisper.

    Args:
        alignment: attention weights, (heads, tokens, 1500), float32.
        n_frames: how many of the frames hold audio.

    Returns:
        (tokens, n_frames), on the host: a tenth of what the heads' weights are.
    """
    weights = alignment[:, :, :n_frames]
    deviation, mean = torch.std_mean(weights, dim=1, keepdim=True, unbiased=False)
    # The median after the mean, not before it as in openai/whisper: the same times for an eighth of
    # the work.
    return _median_filter(((weights - mean) / deviation.clamp(min=1e-6)).mean(dim=0)).cpu()


def _median_filter(weights: torch.Tensor) -> torch.Tensor:
    """(tokens, frames) to the same shape: the median of MEDIAN_FRAMES neighbours in time."""
    side = MEDIAN_FRAMES // 2
    if weights.shape[-1] <= side:
        return weights
    padded = F.pad(weights, (side, side), mode="reflect")
    return padded.unfold(-1, MEDIAN_FRAMES, 1).median(dim=-1).values
