"""A waveform's outline, to draw it without its samples. Pure."""

from __future__ import annotations

import base64

import numpy as np

from speech_endpoint.transcript import SAMPLE_RATE_HZ, Waveform

PEAKS_PER_SECOND = 20
FULL_SCALE = 127


def peaks(waveform: Waveform, per_second: int = PEAKS_PER_SECOND) -> bytes:
    """The lowest and the highest sample of each span of time.

    A browser that decoded hours of audio for its outline would need gigabytes; this is 40 bytes a
    second.

    Args:
        waveform: (samples,).
        per_second: spans; the last one may be shorter.

    Returns:
        (2 * spans,) bytes: minimum and maximum in turn, as int8; 127 is full scale.
    """
    span = SAMPLE_RATE_HZ // per_second
    starts = np.arange(0, len(waveform), span)
    if not len(starts):
        return b""
    pairs = np.stack(
        [np.minimum.reduceat(waveform, starts), np.maximum.reduceat(waveform, starts)], axis=1
    )
    return np.rint(pairs.clip(-1, 1) * FULL_SCALE).astype(np.int8).tobytes()


def waveform_json(outline: bytes) -> dict[str, int | str]:
    """What `include[]=waveform` adds to an answer: `peaks` in base64."""
    return {"per_second": PEAKS_PER_SECOND, "peaks": base64.b64encode(outline).decode("ascii")}
