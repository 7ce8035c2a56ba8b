"""Where the alignment heads looked while the text was written."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from speech_endpoint.whisper.model.features import AUDIO_FRAME_S, AUDIO_FRAMES

MEDIAN_FRAMES = 7
# Comparisons that sort seven numbers up to their median (Devillard 1998, "Fast median search: an
# ANSI C implementation"). Of whole tensors: a twentieth of the time of `median`.
SORTING_NETWORK = (
    (0, 5), (0, 3), (1, 6), (2, 4), (0, 1), (3, 5), (2, 6),
    (2, 3), (3, 6), (4, 5), (1, 4), (1, 3), (3, 4),
)  # fmt: skip


def frames_of(duration_s: float) -> int:
    """How many of a window's frames hold audio, at least one."""
    return max(1, min(AUDIO_FRAMES, round(duration_s / AUDIO_FRAME_S)))


def normalized_attention(alignment: torch.Tensor, n_frames: int) -> torch.Tensor:
    """How much more a token looks at a frame than the other tokens do, as in openai/whisper.

    Args:
        alignment: attention weights, (heads, tokens, 1500), float32.
        n_frames: how many of the frames hold audio.

    Returns:
        (tokens, n_frames): a tenth of what the heads' weights are.
    """
    weights = alignment[:, :, :n_frames]
    # By hand: `torch.std_mean` takes twice the time over a dimension that is not the last.
    centered = weights - weights.mean(dim=1, keepdim=True)
    deviation = centered.square().mean(dim=1, keepdim=True).sqrt_()
    # The median after the mean, not before it as in openai/whisper: the same times for an eighth of
    # the work.
    return _median_filter((centered / deviation.clamp_(min=1e-6)).mean(dim=0))


def _median_filter(weights: torch.Tensor) -> torch.Tensor:
    """(tokens, frames) to the same shape: the median of MEDIAN_FRAMES neighbours in time."""
    side = MEDIAN_FRAMES // 2
    if weights.shape[-1] <= side:
        return weights
    padded = F.pad(weights, (side, side), mode="reflect")
    neighbours = list(padded.unfold(-1, MEDIAN_FRAMES, 1).unbind(-1))
    for low, high in SORTING_NETWORK:
        first, second = neighbours[low], neighbours[high]
        neighbours[low] = torch.minimum(first, second)
        neighbours[high] = torch.maximum(first, second)
    return neighbours[side]
