"""How fast this project is, and how good: `make bench`, or `python -m benchmarks.speed --help`.

Sections that are measured replace what results/speed.json knew of them; the table and the picture show all that it
knows.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import (
    asr,
    diarization,
    growth,
    load,
    machine,
    plot,
    request,
    speculation_simulation,
    startup,
)
from benchmarks.section import Found, Options, Section, markdown_table

RESULTS = Path(__file__).resolve().parent / "results"
SECTIONS: dict[str, Section] = {
    section.name: section
    for section in (
        asr.SECTION,
        diarization.SECTION,
        request.SECTION,
        growth.SECTION,
        load.SECTION,
        speculation_simulation.SECTION,
        startup.SECTION,
    )
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.speed", description=__doc__)
    parser.add_argument(
        "--sections", default=",".join(SECTIONS), help="which, by commas (default: %(default)s)"
    )
    parser.add_argument(
        "--repeats", type=int, default=3, help="rounds; medians are reported (default: %(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help="short recordings only")
    parser.add_argument(
        "--all", action="store_true", help="slow systems on long recordings too (an hour more)"
    )
    parser.add_argument(
        "--only",
        default="",
        help="only systems whose name contains this; others keep their figures",
    )
    parser.add_argument(
        "--threads", type=int, default=2, help="of every system (default: %(default)s)"
    )
    parser.add_argument(
        "--speakers-too", action="store_true", help="growth: a curve with diarization as well"
    )
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="where speed.json, .md and .png are kept"
    )
    parser.add_argument(
        "--show", action="store_true", help="measure nothing; write the table and the picture anew"
    )
    chosen = parser.parse_args()
    chosen.sections = [name for name in chosen.sections.split(",") if name]
    unknown = [name for name in chosen.sections if name not in SECTIONS]
    if unknown:
        parser.error(
            f"--sections: there is no {', '.join(unknown)}; there are {', '.join(SECTIONS)}"
        )
    return chosen


def read(directory: Path) -> Found:
    """What earlier runs found."""
    path = directory / "speed.json"
    known: Found = json.loads(path.read_text()) if path.is_file() else {}
    return known


def merged(known: Found, found: Found) -> Found:
    """What is known with what was found over it, in depth: for a run of some systems only."""
    both = dict(known)
    for name, value in found.items():
        old = both.get(name)
        both[name] = (
            merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
        )
    return both


def write(results: Found, directory: Path) -> str:
    """Keep the figures, the table and the picture; returns the table."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "speed.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    page = report(results)
    (directory / "speed.md").write_text(page)
    plot.draw(results, directory / "speed.png")
    return page


def report(results: Found) -> str:
    """The page: what matters at a glance, then each section, with the machine that its figures come from."""
    parts = [
        "# Speed",
        "Written by `make bench`. Medians; seconds of a loaded and warm system; memory is the peak.",
    ]
    glance = list(at_a_glance(results))
    if glance:
        parts += [
            "## At a glance",
            markdown_table(["", "this project", "the other", "faster"], glance),
        ]
    for name, section in SECTIONS.items():
        if name in results:
            found = results[name]
            settings = (
                f"{found['measured']['settings']}; it took {found['measured']['minutes']:.0f} min"
            )
            parts += [
                f"## {section.title}",
                f"{machine.line(found['measured']['machine'])}; {settings}.",
            ]
            parts.append(section.tables(found))
    return "\n\n".join(parts) + "\n"


def at_a_glance(results: Found) -> Iterator[list[str]]:
    """The ratios; those of figures from two runs say so."""
    systems = results.get("asr", {}).get("systems", {})
    mine = asr.ours("auto", 24).name
    for name in asr.SOUNDS:
        for peer in systems:
            if not peer.startswith(asr.PROJECT):
                yield from _ratio(systems, mine, peer, name, "speech")
    systems = results.get("diarization", {}).get("systems", {})
    for name in diarization.SOUNDS + diarization.LONG_SOUNDS:
        yield from _ratio(systems, diarization.PROJECT, diarization.PEER, name, "speakers")
    systems = results.get("request", {}).get("systems", {})
    for name in request.SOUNDS + request.LONG_SOUNDS:
        yield from _ratio(
            systems, request.PROJECT.name, request.PEER.name, name, "words and speakers"
        )


def _ratio(systems: Found, mine: str, peer: str, name: str, what: str) -> Iterator[list[str]]:
    if all(system in systems and name in systems[system]["sounds"] for system in (mine, peer)):
        ours, theirs = systems[mine]["sounds"][name], systems[peer]["sounds"][name]
        factor = theirs["median_s"] / ours["median_s"]
        runs = "" if systems[mine].get("run") == systems[peer].get("run") else " (two runs)"
        yield [
            f"{what}, {name}: {peer}",
            _with_score(ours),
            _with_score(theirs),
            f"{factor:.2f} ×{runs}",
        ]


def _with_score(entry: Found) -> str:
    """Seconds, and WER or DER where there is one."""
    scores = [
        f"{label} {entry[key]:.3f}"
        for key, label in (("wer", "WER"), ("der", "DER"))
        if entry.get(key) is not None
    ]
    return ", ".join([f"{entry['median_s']:.2f} s", *scores])


def main() -> None:
    chosen = arguments()
    options = Options(
        chosen.repeats, chosen.quick, chosen.all, chosen.only, chosen.threads, chosen.speakers_too
    )
    results = read(chosen.results)
    for name in [] if chosen.show else chosen.sections:
        section = SECTIONS[name]
        print(f"{section.title} …", flush=True)
        started = time.perf_counter()
        found = section.measure(options)
        settings = f"{options.repeats} rounds{', quick' if options.quick else ''}"
        minutes = (time.perf_counter() - started) / 60
        facts = machine.describe(options.threads)
        found["measured"] = {"machine": facts, "settings": settings, "minutes": minutes}
        for system in found.get("systems", {}).values():
            system["run"] = facts["time"]
        results[name] = merged(results.get(name, {}), found) if options.only else found
        # After every section: what was measured stays if the next is interrupted.
        write(results, chosen.results)
    print(write(results, chosen.results))


if __name__ == "__main__":
    main()
