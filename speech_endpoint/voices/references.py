"""`known_speakers` of a request: names, and what their voices are known by."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from speech_endpoint.errors import quoted

MAX_REFERENCES = 64
MAX_NAME_CHARS = 64
MAX_REFERENCE_CHARS = 8 * 2**20
"""A minute at 48 kHz, 16 bits and one channel, uncompressed, in base64."""
MAX_CLIP_S = 60.0
KEYS = ("name", "reference")
# Neither base64 nor a data URL of audio begins so.
VOICEPRINT = re.compile(r"vp\d{0,3}\.")


class Reference(BaseModel):
    """A name, and a voiceprint or a clip of the voice. Its `repr` does not tell the voice."""

    model_config = ConfigDict(frozen=True)

    name: str
    reference: str = Field(repr=False)
    """A voiceprint, or an audio file's base64 text."""


def is_voiceprint(reference: str) -> bool:
    """Whether it means to be a voiceprint, rather than a clip."""
    return VOICEPRINT.match(reference) is not None


def checked_name(name: Any) -> str:
    """A name without blanks around it.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(name, str):
        raise ValueError(f"name: expected text (got {quoted(name, 40)})")
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME_CHARS:
        raise ValueError(f"name: 1 to {MAX_NAME_CHARS} characters are allowed (got {len(name):,})")
    if not name.isprintable():
        raise ValueError(f"name: {quoted(name, 40)} holds a character that cannot be printed")
    return name


def checked_reference(reference: Any) -> str:
    """A voiceprint or base64 text, not read yet; errors do not quote it.

    Raises:
        ValueError: it is neither.
    """
    expected = "expected a voiceprint (vp1.…) or the base64 text of a clip"
    if not isinstance(reference, str):
        raise ValueError(f"reference: {expected} (got {type(reference).__name__})")
    reference = reference.strip()
    if not reference:
        raise ValueError(f"reference: empty; {expected}")
    if len(reference) > MAX_REFERENCE_CHARS:
        raise ValueError(
            f"reference: {len(reference):,} characters; at most {MAX_REFERENCE_CHARS:,} are allowed"
        )
    if not reference.isascii():
        raise ValueError(f"reference: {expected}")
    return reference


def checked(value: Any) -> tuple[Reference, ...]:
    """References of a request; a name may come several times, with several clips of a person."""
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"expected a list of objects of {' and '.join(KEYS)}")
    if len(value) > MAX_REFERENCES:
        raise ValueError(f"at most {MAX_REFERENCES} are allowed (got {len(value):,})")
    references = []
    for number, entry in enumerate(value, start=1):
        if isinstance(entry, Reference):
            entry = entry.model_dump()
        if not isinstance(entry, dict) or set(entry) != set(KEYS):
            raise ValueError(f"entry {number}: expected an object of {' and '.join(KEYS)}")
        try:
            name, reference = checked_name(entry["name"]), checked_reference(entry["reference"])
        except ValueError as error:
            raise ValueError(f"entry {number}: {error}") from None
        references.append(Reference(name=name, reference=reference))
    return tuple(references)


References = Annotated[
    tuple[Reference, ...],
    BeforeValidator(checked),
    WithJsonSchema(
        {
            "type": "array",
            "maxItems": MAX_REFERENCES,
            "items": {
                "type": "object",
                "required": list(KEYS),
                "properties": {key: {"type": "string"} for key in KEYS},
            },
        }
    ),
]
