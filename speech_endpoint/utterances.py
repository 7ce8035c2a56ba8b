"""What somebody says in one go. Pure; all times are seconds."""

from __future__ import annotations

from collections.abc import Iterable

from speech_endpoint.transcript import Word

MIN_PAUSE_S = 0.5
"""Between two utterances; within one, pauses for breath or thought are shorter."""

Utterance = tuple[Word, ...]


def utterances(words: Iterable[Word]) -> list[Utterance]:
    """Cut a speaker's words where a sentence ends or a pause is made.

    Args:
        words: of one speaker, in order.
    """
    found: list[list[Word]] = []
    for word in words:
        before = found[-1][-1] if found else None
        if (
            before is None
            or word.start - before.end >= MIN_PAUSE_S
            or before.ends_sentence_before(word)
        ):
            found.append([])
        found[-1].append(word)
    return [tuple(utterance) for utterance in found]
