"""Chunks: the 10 s sliding window of pyannote, one chunk every second, cut from a signal."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from torch import Tensor
from torch.nn.functional import pad

from speech_endpoint.hardware import trim_heap

# Chunks that are processed together: ten minutes of audio, a whole number of CAM++'s blocks. Of a
# long recording only results are kept from one section to the next.
SECTION_CHUNKS = 600


def unfold_chunks(signal: Tensor, size: int, hop: int, count: int) -> Tensor:
    """Cut overlapping chunks, without a copy where the signal is long enough.

    Args:
        signal: (channels, n).
        size: length of a chunk.
        hop: distance from the start of one chunk to the start of the next.
        count: how many chunks; those beyond the end of the signal are filled with zeros.

    Returns:
        (count, channels, size).
    """
    padded = pad(signal, (0, max(0, (count - 1) * hop + size - signal.shape[-1])))
    return padded.unfold(-1, size, hop)[:, :count].transpose(0, 1)


def centred(features: Tensor, offset: Tensor, shape: tuple[int, ...], hop: int) -> Tensor:
    """Take the frames of some chunks, less their mean.

    Args:
        features: (frames, channels), from the first frame of the first chunk on.
        offset: (channels,), the mean.
        shape: (chunks, frames per chunk, …).
        hop: frames from the start of one chunk to the start of the next.

    Returns:
        ((chunks - 1) * hop + frames per chunk, channels), float32; zeros where there is no frame.
    """
    n_frames = (shape[0] - 1) * hop + shape[1]
    section = features[:n_frames].float() - offset
    return pad(section, (0, 0, 0, n_frames - len(section)))


def count_chunks(n_samples: int, size: int, hop: int) -> int:
    """How many chunks cover a signal, the last of them possibly only in part; at least 1."""
    return 1 + max(0, ceil((n_samples - size) / hop))


def section_starts(n_chunks: int, section_chunks: int) -> Iterator[int]:
    """The first chunk of each section; between sections, freed memory goes back to the system."""
    for first in range(0, n_chunks, section_chunks):
        yield first
        if n_chunks > section_chunks:
            trim_heap()


def unfold_sections(
    signal: Tensor, size: int, hop: int, n_chunks: int, section_chunks: int
) -> Iterator[Tensor]:
    """Cut the chunks of a signal, at most `section_chunks` at a time.

    Args:
        signal: (channels, n).
        size: length of a chunk.
        hop: distance from the start of one chunk to the start of the next.
        n_chunks: chunks in all.
        section_chunks: chunks per section.

    Yields:
        (chunks of the section, channels, size), as `unfold_chunks` returns them.
    """
    for first in section_starts(n_chunks, section_chunks):
        count = min(section_chunks, n_chunks - first)
        section = signal[:, first * hop : (first + count - 1) * hop + size]
        yield unfold_chunks(section, size, hop, count)
