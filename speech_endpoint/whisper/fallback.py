"""When a window's text is not to be trusted, and what to do then. Pure: no model, no audio.

Whisper's own rule (Radford et al. 2022, section 4.5; `decode_with_fallback` in openai/whisper):
text that is unlikely or repeats itself is decoded again at a higher temperature, and text that is
unlikely where nobody seems to speak is dropped. Added here: windows that stay unlikely are split,
and text found on a second pass over uncovered speech has to be sure of itself.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import Enum, auto

# openai/whisper has six, from 0 to 1.
TEMPERATURES = (0.0, 0.4, 0.8)
# openai/whisper's thresholds, by its parameters' names.
LOGPROB_THRESHOLD = -1.0
COMPRESSION_RATIO_THRESHOLD = 2.4
NO_SPEECH_THRESHOLD = 0.6
# A window of low confidence that is as long as this is split; a shorter one is kept.
MIN_SPLIT_S = 4.0


@dataclass(frozen=True, slots=True)
class TextQuality:
    """What the rule knows of a window's text."""

    mean_log_probability: float
    compression_ratio: float
    repeats_itself: bool
    """The text was cut where it began to repeat itself."""
    no_speech_probability: float
    repetition_is_spoken: bool = False
    """The text repeats itself because the audio does."""

    @property
    def low_confidence(self) -> bool:
        return self.mean_log_probability < LOGPROB_THRESHOLD

    @property
    def needs_fallback(self) -> bool:
        """Whether the window had better be decoded again."""
        compressible = self.compression_ratio > COMPRESSION_RATIO_THRESHOLD
        repetitive = compressible and not self.repetition_is_spoken
        return self.low_confidence or self.repeats_itself or repetitive

    def is_better_than(self, other: TextQuality) -> bool:
        """Whether this decoding of a window is to be kept rather than the `other`."""
        if self.repeats_itself != other.repeats_itself:
            return other.repeats_itself
        return self.mean_log_probability > other.mean_log_probability


def temperatures(first: float) -> tuple[float, ...]:
    """What a window is decoded at, one after the other until its text can be trusted."""
    return (first, *(higher for higher in TEMPERATURES if higher > first))


class Decision(Enum):
    """What becomes of a window when it has been decoded for the last time."""

    KEEP = auto()
    SPLIT = auto()
    """Decode its halves instead: noise in one place may have spoiled the whole."""
    DROP = auto()
    """A second pass that found nothing: rather a gap than a hallucination."""
    DROP_UNCLEAR = auto()
    """What may be speech is too unclear to write down: tell the caller."""


def decide(
    quality: TextQuality, *, is_second_pass: bool, is_split: bool, duration_s: float
) -> Decision:
    """What to do with a window's text.

    Args:
        quality: of the best decoding.
        is_second_pass: the window is speech that an earlier one left uncovered, or part of a window
            that was split.
        is_split: the window is part of one whose text was of low confidence.
        duration_s: of the window.
    """
    if is_second_pass and not is_split and quality.needs_fallback:
        return Decision.DROP
    if not quality.low_confidence:
        return Decision.KEEP
    no_speech = quality.no_speech_probability > NO_SPEECH_THRESHOLD
    if is_split or no_speech:
        return Decision.DROP_UNCLEAR
    return Decision.SPLIT if duration_s >= MIN_SPLIT_S else Decision.KEEP


def compression_ratio(text: str) -> float:
    """How many times smaller zlib makes the text; 0 without text."""
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 0.0
