"""`--known NAME=FILE`: voices that are known, from clips or voiceprints in files."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Sequence
from pathlib import Path

import click

from speech_endpoint.voices.references import MAX_REFERENCE_CHARS, is_voiceprint

# Base64 takes 4/3 of the bytes.
MAX_CLIP_BYTES = MAX_REFERENCE_CHARS * 3 // 4 - 1024


def read_known(
    context: click.Context, parameter: click.Parameter, given: Sequence[str]
) -> list[dict[str, str]] | None:
    """The `known_speakers` of a request; None where nobody is."""
    known = []
    for text in given:
        name, separator, path = text.partition("=")
        if not separator or not name.strip() or not path:
            raise click.BadParameter(f"{text!r}: expected NAME=FILE")
        known.append({"name": name.strip(), "reference": _reference(Path(path))})
    return known or None


def _reference(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CLIP_BYTES + 1)
    except OSError as error:
        raise click.BadParameter(f"{path}: {error.strerror}") from None
    if len(content) > MAX_CLIP_BYTES:
        raise click.BadParameter(f"{path}: more than {MAX_CLIP_BYTES:,} bytes; give a shorter clip")
    if is_voiceprint(content[:8].decode("ascii", errors="replace")):
        return content.decode("ascii", errors="replace").strip()
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


known_option = click.option(
    "--known",
    "known_speakers",
    multiple=True,
    metavar="NAME=FILE",
    callback=read_known,
    help="Whose voice is in a clip, or in a file with a voiceprint. May be given several times.",
)
