"""Names of Whisper's languages."""

from __future__ import annotations

import re

from speech_endpoint.errors import quoted

DETECT = frozenset({"", "auto", "none", "null"})
"""What callers write for "detect it"."""
# ISO 639 codes that Whisper has under another, an older or a wider one, and names that it lacks.
ALIASES = {
    "bokmal": "no",
    "bokmål": "no",
    "cmn": "zh",
    "farsi": "fa",
    "fil": "tl",
    "filipino": "tl",
    "in": "id",
    "iw": "he",
    "ji": "yi",
    "jv": "jw",
    "nb": "no",
    "zh-yue": "yue",
}
# A code, then script, region and variants (BCP 47), or what POSIX adds: "zh-Hans", "pt_BR.UTF-8".
# Of them the language, and what makes another language of it: "zh-yue".
MAX_SUBTAGS = 2
LOCALE = re.compile(r"([a-z]{2,3}(?:-[a-z0-9]{1,8})*)(?:[.@][a-z0-9-]*)?")


def language_code(language: str) -> str | None:
    """The code ("en") of a language given by code, English name or locale; None: detect it.

    Raises:
        ValueError: Whisper has no such language.
    """
    # Imported here: it takes most of a second, which whoever reads settings alone need not spend.
    from transformers.models.whisper.tokenization_whisper import LANGUAGES, TO_LANGUAGE_CODE

    name = language.strip().lower().replace("_", "-")
    if name in DETECT:
        return None
    locale = LOCALE.fullmatch(name)
    subtags = locale[1].split("-", MAX_SUBTAGS)[:MAX_SUBTAGS] if locale else [name]
    for n_subtags in range(len(subtags), 0, -1):
        known = "-".join(subtags[:n_subtags])
        code = ALIASES.get(known) or TO_LANGUAGE_CODE.get(known, known)
        if code in LANGUAGES:
            return str(code)
    raise ValueError(
        f"{quoted(language, 40)} is not a language of Whisper; give a code or an English name, "
        f"e.g. {', '.join(repr(code) for code in list(LANGUAGES)[:6])}, 'english', or 'auto' to "
        "detect it"
    )


def language_name(code: str) -> str:
    """The English name ("english") of a language that Whisper has by this code."""
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    return str(LANGUAGES.get(code, code))
