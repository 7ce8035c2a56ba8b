"""A voiceprint: a voice as a line of text, which whoever asked for it keeps and sends again.

    vp1.<model>.<vector>

`model` is the first eight hex digits of the SHA-256 of the embedding's weights, `vector` the
base64url, without padding, of a unit vector in float16, little endian. Voiceprints of another model
say nothing about a voice. It is data, not a secret of ours: it is not signed, but checked.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

VERSION = "vp1"
PATTERN = re.compile(r"(vp\d{1,3})\.([0-9a-f]{8})\.([A-Za-z0-9_-]+)")
MAX_CHARS = 16_384
"""Of a string: no embedding has so many dimensions."""
LENGTH_TOLERANCE = 0.01
"""By how much a vector may differ from unit length, where float16 loses 0.0005."""


class NoVoiceprint(ValueError):
    """A string is no voiceprint of this model; the message quotes nothing of its vector."""


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """What makes voices comparable: the same weights."""

    name: str
    """The first eight hex digits of the SHA-256 of the weights' file."""
    dimension: int

    @classmethod
    def of(cls, weights: Path, dimension: int) -> EmbeddingModel:
        """Name the weights in a file."""
        with weights.open("rb") as file:
            return cls(hashlib.file_digest(file, "sha256").hexdigest()[:8], dimension)


@dataclass(frozen=True, eq=False, repr=False)
class Voiceprint:
    """A voice, by an embedding model. Its `repr` does not tell it."""

    model: str
    """`EmbeddingModel.name`."""
    vector: npt.NDArray[np.float32]
    """(dimension,), unit length."""

    def __str__(self) -> str:
        """The string that `parse` reads."""
        digits = base64.urlsafe_b64encode(self.vector.astype("<f2").tobytes())
        return f"{VERSION}.{self.model}.{digits.decode().rstrip('=')}"

    @classmethod
    def of(cls, model: str, embedding: npt.NDArray[Any]) -> Voiceprint:
        """The voiceprint of an embedding, of any length but 0."""
        vector = embedding.astype(np.float32)
        return cls(model, vector / np.linalg.norm(vector))


def parse(text: str, model: EmbeddingModel) -> Voiceprint:
    """Read a voiceprint.

    Args:
        text: what `str` of one gave.
        model: that embeds voices here.

    Raises:
        NoVoiceprint: of another version or model, or damaged.
    """
    match = PATTERN.fullmatch(text) if len(text) <= MAX_CHARS else None
    if match is None:
        raise NoVoiceprint(f"a damaged voiceprint; expected {VERSION}.<model>.<base64url>")
    version, of_model, digits = match.groups()
    if version != VERSION:
        raise NoVoiceprint(f"a voiceprint of version {version}; expected {VERSION}")
    if of_model != model.name:
        raise NoVoiceprint(
            f"a voiceprint of the embedding model {of_model}; this endpoint has {model.name}: make"
            " it anew from a clip"
        )
    try:
        raw = base64.urlsafe_b64decode(digits + "=" * (-len(digits) % 4))
    except binascii.Error:
        raw = b""
    if len(raw) != 2 * model.dimension:
        raise NoVoiceprint(f"a damaged voiceprint; expected {model.dimension} values of two bytes")
    vector = np.frombuffer(raw, "<f2").astype(np.float32)
    if not abs(np.linalg.norm(vector) - 1) <= LENGTH_TOLERANCE:
        raise NoVoiceprint("a damaged voiceprint; its values are no unit vector")
    return Voiceprint.of(of_model, vector)
