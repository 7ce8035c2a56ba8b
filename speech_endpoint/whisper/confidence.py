"""How likely a word is to be right, from the probabilities of its tokens. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable

# Fitted by likelihood: whisper-base 0.48, whisper-tiny.en 0.42; 0.4 to 0.5 are alike.
# docs/accuracy.md, "Confidence", has the errors.
LOG_PROBABILITY_SCALE = 0.45


def word_probability(log_probabilities: Iterable[float]) -> float:
    """The probability that a word is right, 0 to 1.

    All of its tokens must be, so it begins with their joint probability. That falls too low: what
    a network is unsure of is often the spelling alone. One factor on its logarithm corrects it, a
    temperature as in Guo et al. 2017 ("On calibration of modern neural networks", section 4.2),
    without a second softmax, which would need the logits of every token; ranking stays as it was.

    Args:
        log_probabilities: of the word's tokens, under the rules of decoding.
    """
    return math.exp(LOG_PROBABILITY_SCALE * min(0.0, math.fsum(log_probabilities)))
