"""The figures of `make bench` as one picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FixedLocator, NullFormatter

from benchmarks import asr
from benchmarks.section import Found
from benchmarks.sounds import sound

OURS, PEER = "#1f77b4", "#b0b0b0"
# Recordings of which there is a panel, if they were measured; else the first that were.
PANELS = (asr.CALLS, asr.LONG)
MOST_BARS = 16
TICKS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)

Panel = Callable[[Any], None]


def draw(results: Found, path: Path) -> None:
    """Draw what was measured; a section that was not has no panel."""
    panels = [*_bar_panels(results), *_growth_panels(results), *_simulation_panels(results)]
    if not panels:
        return
    columns = 2
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(17, 5.6 * rows), squeeze=False)
    for axis, panel in zip(axes.flat, panels, strict=False):
        panel(axis)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _bar_panels(results: Found) -> list[Panel]:
    panels: list[Panel] = []
    systems = results.get("asr", {}).get("systems", {})
    measured = list(dict.fromkeys(name for system in systems.values() for name in system["sounds"]))
    for name in [name for name in PANELS if name in measured] or measured[:1]:
        rtf = {
            system: entry["sounds"][name]["rtf"]
            for system, entry in systems.items()
            if name in entry["sounds"]
        }
        panels.append(
            _bars(_fewer(rtf), f"Speech to text: {name} ({sound(name).duration_s:.0f} s)")
        )
    for section, title in (("diarization", "Who spoke when"), ("request", "Words and speakers")):
        systems = results.get(section, {}).get("systems", {})
        bars = {
            f"{system}: {name}": entry["rtf"]
            for system, found in systems.items()
            for name, entry in found["sounds"].items()
            if name in ("phone_call", "four_speakers", "four_speakers_text")
        }
        if bars:
            panels.append(_bars(bars, title))
    return panels


def _fewer(rtf: dict[str, float]) -> dict[str, float]:
    """At most MOST_BARS: the number formats of this project give way first."""
    formats = [
        name for name in rtf if any(f", {kind}," in name for kind in ("float32", "int8", "bf16"))
    ]
    formats = [name for name in formats if name.startswith(asr.PROJECT)]
    dropped = sorted(formats, key=rtf.__getitem__, reverse=True)[: max(0, len(rtf) - MOST_BARS)]
    return {name: value for name, value in rtf.items() if name not in dropped}


def _bars(rtf: dict[str, float], title: str) -> Panel:
    def panel(axis: Any) -> None:
        ordered = sorted(rtf.items(), key=lambda item: -item[1])
        names, values = [name for name, _ in ordered], [value for _, value in ordered]
        colours = [OURS if name.startswith(asr.PROJECT) else PEER for name in names]
        bars = axis.barh(names, values, color=colours)
        axis.set_xscale("log")
        axis.set_xlim(min(values) / 2, max(values) * 2.5)
        axis.xaxis.set_major_locator(FixedLocator(TICKS))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.bar_label(
            bars,
            [f"{value:.3f}  ({1 / value:.0f} × real time)" for value in values],
            padding=3,
            fontsize=8,
        )
        axis.tick_params(axis="y", labelsize=8)
        axis.set_xlabel("seconds of work per second of audio (RTF, logarithmic; shorter is faster)")
        axis.set_title(title)

    return panel


def _growth_panels(results: Found) -> list[Panel]:
    curves = results.get("growth", {}).get("curves", {})
    if not curves:
        return []

    def seconds(axis: Any) -> None:
        for name, curve in curves.items():
            points = curve["points"]
            axis.plot(
                [p["minutes"] for p in points], [p["seconds"] for p in points], "o-", label=name
            )
        axis.set(
            xlabel="minutes of audio", ylabel="seconds of work", title="Time grows with the audio"
        )
        axis.legend()
        axis.grid(alpha=0.3)

    def memory(axis: Any) -> None:
        for name, curve in curves.items():
            points = curve["points"]
            minutes = [p["minutes"] for p in points]
            axis.plot(
                minutes, [p["peak_mb"] for p in points], "o-", label=f"{name}: peak while working"
            )
            rest = [p["peak_mb"] - p["audio_mb"] for p in points]
            axis.plot(minutes, rest, "o--", label=f"{name}: without waveform and file")
        axis.set(xlabel="minutes of audio", ylabel="MB", title="Memory grows with the audio")
        axis.set_ylim(bottom=0)
        axis.legend()
        axis.grid(alpha=0.3)

    return [seconds, memory]


def _simulation_panels(results: Found) -> list[Panel]:
    predictions = results.get("simulation", {}).get("predictions", [])
    if not predictions:
        return []

    def panel(axis: Any) -> None:
        for batch in dict.fromkeys(entry["batch"] for entry in predictions):
            line = [
                (entry["acceptance"], entry["speedup"])
                for entry in predictions
                if entry["batch"] == batch
            ]
            axis.plot(*zip(*line, strict=True), "o-", label=f"batch {batch}")
        axis.axhline(1.0, color="black", linewidth=0.8)
        axis.set(xlabel="share of the guesses that are right", ylabel="speed-up of decoding")
        axis.set_title("SIMULATED: speculation with large-v3's shape, random weights")
        axis.legend()
        axis.grid(alpha=0.3)

    return [panel]
