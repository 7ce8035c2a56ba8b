"""How sure it is that a turn is its speaker's, and not the next likeliest one's.

Every local speaker of every chunk has an embedding, every speaker a centroid. By how much a turn's
embeddings are nearer to their own speaker's centroid than to any other's becomes a probability by
Platt's scaling ("Probabilistic outputs for support vector machines", 1999).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from speech_endpoint.transcript import Diarization, SpeakerTurn

# Fitted to the words of half of the conversations; on the other half the expected calibration error
# is 0.003. They are CAM++'s: of other embeddings the order of the probabilities can be relied on.
SLOPE, INTERCEPT = 5.2, 1.9


class LocalSpeakers:
    """Keeps, as the hook of a pyannote pipeline, what it finds in each chunk."""

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}

    def __call__(self, step: str, artefact: Any, **_: Any) -> None:
        """Take what a step has made; None while it goes on."""
        if artefact is not None:
            self._found[step] = artefact

    def with_confidence(self, diarization: Diarization) -> Diarization:
        """The diarization, its exclusive turns with the probability that the speaker is right."""
        segmentations, embeddings = (self._found.get(s) for s in ("segmentation", "embeddings"))
        if segmentations is None or embeddings is None:
            return diarization
        window, active = segmentations.sliding_window, np.nan_to_num(segmentations.data)
        return with_confidence(diarization, embeddings, active, (window.duration, window.step))


def with_confidence(
    diarization: Diarization,
    embeddings: np.ndarray,
    active: np.ndarray,
    chunk: tuple[float, float],
) -> Diarization:
    """The diarization, its exclusive turns with the probability that the speaker is right.

    Args:
        diarization: turns, and the embedding of each speaker; as it is where it has none.
        embeddings: (chunks, local speakers, dimension); NaN where nobody speaks.
        active: (chunks, frames, local speakers), 0 or 1.
        chunk: its length, and the time from one to the next, seconds; the first begins at 0.
    """
    if not diarization.embeddings:
        return diarization
    nearness = similarities(embeddings, diarization.embeddings)
    margins = turn_margins(diarization.exclusive_turns, nearness, active, chunk)
    turns = [
        turn if margin is None else replace(turn, confidence=probability(margin))
        for turn, margin in zip(diarization.exclusive_turns, margins, strict=True)
    ]
    return replace(diarization, exclusive_turns=tuple(turns))


def probability(margin: float) -> float:
    """The probability that a speaker is right, from the margin of its similarity."""
    return 1 / (1 + math.exp(-(SLOPE * margin + INTERCEPT)))


def similarities(
    embeddings: np.ndarray, centroids: Mapping[str, npt.NDArray[np.float32]]
) -> dict[str, np.ndarray]:
    """How near each local speaker is to each speaker.

    Args:
        embeddings: (chunks, local speakers, dimension); NaN where nobody speaks.
        centroids: (dimension,) of each speaker.

    Returns:
        (chunks, local speakers) for each speaker: cosines.
    """
    lengths = np.linalg.norm(embeddings, axis=-1, keepdims=True)
    directions = embeddings / np.maximum(lengths, np.finfo(np.float32).tiny)
    return {
        speaker: directions @ (centroid / np.linalg.norm(centroid))
        for speaker, centroid in centroids.items()
    }


def turn_margins(
    turns: Sequence[SpeakerTurn],
    nearness: Mapping[str, np.ndarray],
    active: np.ndarray,
    chunk: tuple[float, float],
) -> list[float | None]:
    """By how much each turn is nearer to its speaker than to the next likeliest.

    In each chunk the local speaker counts who is active for most of the turn. Where there is one
    speaker only, the other is any voice: two differ by a cosine of about 0.

    Args:
        turns: exclusive ones.
        nearness: as `similarities` returns it.
        active: (chunks, frames, local speakers), 0 or 1.
        chunk: its length, and the time from one to the next, seconds; the first begins at 0.

    Returns:
        Differences of cosines; None where nothing of a turn has an embedding.
    """
    own_margins = {speaker: _margins(speaker, nearness) for speaker in nearness}
    n_chunks, n_frames, _ = active.shape
    duration_s, step_s = chunk
    margins: list[float | None] = []
    for turn in turns:
        first = max(0, math.floor((turn.start - duration_s) / step_s) + 1)
        total, weight = 0.0, 0.0
        for n in range(first, min(n_chunks, math.ceil(turn.end / step_s))):
            begin, end = (
                round((time - n * step_s) / duration_s * n_frames)
                for time in (turn.start, turn.end)
            )
            n_active = active[n, max(0, begin) : max(0, end)].sum(axis=0)
            if turn.speaker not in own_margins or not n_active.any():
                continue
            loudest = int(n_active.argmax())
            margin = own_margins[turn.speaker][n, loudest]
            if np.isfinite(margin):
                total += float(margin) * float(n_active[loudest])
                weight += float(n_active[loudest])
        margins.append(total / weight if weight else None)
    return margins


def _margins(speaker: str, nearness: Mapping[str, np.ndarray]) -> np.ndarray:
    """(chunks, local speakers), a speaker's nearness less that of the next likeliest."""
    others = [nearness[other] for other in nearness if other != speaker]
    return nearness[speaker] - (np.max(others, axis=0) if others else 0.0)
