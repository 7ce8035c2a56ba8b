"""The code blocks of a page of the documentation, as a reader would copy them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Block:
    section: str
    language: str
    text: str

    def commands(self) -> list[str]:
        """A shell block's commands, without comments; a continued one is one."""
        lines = re.sub(r"(\\|\|)\n\s*", r"\1 ", self.text).replace("\\ ", " ").splitlines()
        return [line.partition("    #")[0].strip() for line in lines if line.strip()]


def blocks(page: Path) -> list[Block]:
    """All fenced blocks, in order, each with the heading that it is under."""
    found, section = [], ""
    for heading, language, text in re.findall(
        r"^#+ ([^\n]+)$|^```(\w*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL
    ):
        if heading:
            section = heading
        else:
            found.append(Block(section, language, text))
    return found


def block(page: Path, section: str, language: str, holding: str = "") -> Block:
    """The one block of a section that is in this language and holds this text."""
    (found,) = (
        each
        for each in blocks(page)
        if (each.section, each.language) == (section, language) and holding in each.text
    )
    return found
