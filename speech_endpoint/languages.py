"""Names of Whisper's languages."""

from __future__ import annotations


def language_code(language: str) -> str:
    """The code ("en") of a language given by code or English name.

    Raises:
        ValueError: Whisper has no such language.
    """
    # Imported here: it takes most of a second, which whoever reads settings alone need not spend.
    from transformers.models.whisper.tokenization_whisper import LANGUAGES, TO_LANGUAGE_CODE

    name = language.strip().lower()
    if name in LANGUAGES:
        return str(name)
    if name in TO_LANGUAGE_CODE:
        return str(TO_LANGUAGE_CODE[name])
    raise ValueError(
        f"{language[:40]!r} is not a language of Whisper; give a code or an English name, e.g. "
        f"{', '.join(repr(code) for code in list(LANGUAGES)[:6])}, 'english', or null to detect it"
    )
