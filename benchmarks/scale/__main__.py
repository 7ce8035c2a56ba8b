"""Write the tables of docs/scale.md: `python -m benchmarks.scale`; --print: to standard output."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Iterator
from pathlib import Path

from benchmarks.scale.cards import load_cards
from benchmarks.scale.controllers import ByAudio, ByQueuedAudio, Endpoints, Fixed
from benchmarks.scale.simulation import (
    Controller,
    Day,
    day_of_arrivals,
    replicas_at_peak,
    simulate,
    threefold_arrivals,
)
from speech_endpoint.cluster.demand import UTILISATION

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"
CARD, MODEL = "L4", "turbo"
"""Of the simulated days; with speakers."""
CLIP_S = 30.0
AT_ONCE = 12
"""Requests that a busy replica has in its batch."""
START_S, ENDPOINT_START_S = 180, 300
"""From wanting a replica to its first request, guessed: with a machine and the image there, and
where the host finds a machine and loads an image of 6 GB."""
PEAKS = (1, 10, 100, 1000)


def cards_table() -> str:
    """Every card: speed and cost of a replica that is never idle."""
    lines = [
        "| | price, $/h | model | words, h/h | words, $/h of audio "
        "| with speakers, h/h | with speakers, $/h of audio |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for card in load_cards().values():
        for model in card.rtfx:
            cells = [
                f"{card.speed(model, speakers=False):.0f}",
                _usd(card.usd_per_audio_hour(model, speakers=False)),
                f"{card.speed(model, speakers=True):.0f}",
                _usd(card.usd_per_audio_hour(model, speakers=True)),
            ]
            if card.source == "predicted":
                cells = [f"*{cell}*" for cell in cells]
            lines.append(
                f"| {card.name}, {card.source} | {card.usd_per_hour:.2f} | {model} | "
                + " | ".join(cells)
                + " |"
            )
    return "\n".join(lines)


def days_table() -> str:
    """One to a thousand replicas at the busiest hour: fixed, and scaled by two rules."""
    speed = load_cards()[CARD].speed(MODEL, speakers=True)
    lines = [_HEAD, _RULE]
    for n in PEAKS:
        hours = _hours_for(n, speed)
        rows = [("fixed", Fixed(n), n), *((*rule, max(1, n // 8)) for rule in _rules(speed))]
        for name, controller, n_at_first in rows:
            arrivals_ms = day_of_arrivals(hours, CLIP_S)
            day = simulate(arrivals_ms, speed, controller, start_s=START_S, n_at_first=n_at_first)
            lines.append(_line(f"{hours:,.0f}", name, day))
    return "\n".join(lines)


def threefold_table() -> str:
    """Ten replicas' load, which triples at once."""
    n, speed = 10, load_cards()[CARD].speed(MODEL, speakers=True)
    arrivals_ms = threefold_arrivals(UTILISATION * n * speed, CLIP_S)
    lines = [_HEAD.replace("hours of audio a day", "replicas that it needs"), _RULE]
    for name, controller in _rules(speed):
        day = simulate(arrivals_ms, speed, controller, start_s=START_S, n_at_first=n)
        lines.append(_line(f"{n}, {3 * n}, {n}", name, day))
    return "\n".join(lines)


def _rules(speed: float) -> list[tuple[str, Controller]]:
    clip_ms = round(CLIP_S * 1000)
    return [
        ("by queued audio", ByQueuedAudio(clip_ms, AT_ONCE)),
        ("by arrivals and queue", ByAudio(clip_ms, AT_ONCE, speed)),
    ]


def endpoints_table() -> str:
    """The same days at an endpoint that scales itself by pending requests."""
    speed = load_cards()[CARD].speed(MODEL, speakers=True)
    lines = [_HEAD, _RULE]
    for n in PEAKS:
        hours = _hours_for(n, speed)
        for threshold in (1.5, 8.0):
            controller = Endpoints(round(CLIP_S * 1000), AT_ONCE, threshold, n_max=2 * n)
            day = simulate(
                day_of_arrivals(hours, CLIP_S),
                speed,
                controller,
                start_s=ENDPOINT_START_S,
                n_at_first=max(1, n // 8),
            )
            name = f"threshold {threshold:g}, at most {2 * n}"
            lines.append(_line(f"{hours:,.0f}", name, day))
    return "\n".join(lines)


_HEAD = (
    "| hours of audio a day | replicas | mean | most | wait, half | wait, 99 % | refused "
    "| $/h of audio |"
)
_RULE = "| --- | --- | --- | --- | --- | --- | --- | --- |"


def _hours_for(n: int, speed: float) -> float:
    """So many hours a day need n replicas in the busiest one; two digits."""
    hours = n / replicas_at_peak(1e6, speed) * 1e6
    digits = 10 ** (math.floor(math.log10(hours)) - 1)
    return math.floor(hours / digits) * digits


def _line(load: str, name: str, day: Day) -> str:
    cells = [
        load,
        name,
        f"{day.replica_s / day.duration_s:,.1f}",
        f"{day.n_max:,}",
        f"{day.wait_s(0.5):.1f} s",
        f"{day.wait_s(0.99):.0f} s",
        f"{100 * day.refused_share:.2g} %",
        _usd(day.usd_per_audio_hour(load_cards()[CARD].usd_per_hour)),
    ]
    return "| " + " | ".join(cells) + " |"


def _usd(value: float) -> str:
    return f"{value:.4f}"


TABLES = {
    "cards": cards_table,
    "days": days_table,
    "threefold": threefold_table,
    "endpoints": endpoints_table,
}


def written(page: str, name: str, table: str) -> str:
    """The page with one of its tables anew, between its marks."""
    pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
    return re.sub(pattern, lambda found: f"{found[1]}{table}\n{found[2]}", page, flags=re.DOTALL)


def tables() -> Iterator[tuple[str, str]]:
    """All tables by name."""
    return ((name, make()) for name, make in TABLES.items())


def main() -> None:
    """Write or print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--print", action="store_true", dest="to_stdout")
    to_stdout = parser.parse_args().to_stdout
    page = "" if to_stdout else PAGE.read_text(encoding="utf-8")
    for name, table in tables():
        if to_stdout:
            print(f"{name}\n{table}\n")
        page = written(page, name, table)
    if not to_stdout:
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
