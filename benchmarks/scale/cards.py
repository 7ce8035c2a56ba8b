"""GPUs: how fast, and for how much. `cards.toml` has the figures."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

CARDS = Path(__file__).with_name("cards.toml")


@dataclass(frozen=True, slots=True)
class Card:
    """A GPU that one replica has for itself."""

    name: str
    source: Literal["measured", "predicted"]
    rtfx: Mapping[str, float]
    """Hours of audio an hour, words alone, by model."""
    speakers_s: float
    """Of diarization, for an hour of audio."""
    usd_per_hour: float
    price: str
    """Whose, of when."""

    def speed(self, model: str, *, speakers: bool) -> float:
        """Hours of audio an hour; words and speakers follow each other on one thread."""
        seconds = 3600.0 / self.rtfx[model] + (self.speakers_s if speakers else 0.0)
        return 3600.0 / seconds

    def usd_per_audio_hour(self, model: str, *, speakers: bool) -> float:
        """Of a replica that is never idle."""
        return self.usd_per_hour / self.speed(model, speakers=speakers)


def load_cards(path: Path = CARDS) -> dict[str, Card]:
    """All of the file, by name, in its order."""
    return {name: Card(name, **values) for name, values in tomllib.loads(path.read_text()).items()}
