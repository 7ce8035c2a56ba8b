"""Who says what, how well: this project beside others, on the same weights and recordings.

Where a recording begins decides where each of Whisper's windows lies, and whether a word, even a
sentence, is heard: one system differs by more between two beginnings than two systems at one.
`--offsets 10` hears each recording that often, each time after 0.037 s more of silence, and tells
means; of words and word errors, sums.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks import corpus, run
from benchmarks.cascades import BestPractice
from benchmarks.scores import COLUMNS, Scores
from benchmarks.systems import PRECISIONS, Entry, OurEndpoint, convert_for_ctranslate2

# By the names that `--systems` takes.
PEERS = {"best": BestPractice("batched"), "sequential": BestPractice("sequential")}
# No multiple of any system's frame (0.01, 0.02 and 0.032 s).
OFFSET_STEP_S = 0.037
# The mean that the project is judged by; the meetings, far from the microphone, have their own.
TALKS = (
    "phone_call", "two_speakers", "four_speakers", "three_speakers_overlap", "long_five_speakers",
)  # fmt: skip
MEETINGS_PREFIX = "ami_"

SPEAKERS = ["word speaker accuracy", "DER", "DER ±0.25 s", "JER", "JER ±0.25 s", "speakers ±"]
SPELLING = ["WER", "ins.", "del.", "sub.", "cpWER", "tcpWER, 5 s"]
BORDERS = ["start, median s", "start, p95 s", "end, median s", "end, p95 s"]


def parse() -> argparse.Namespace:
    formatter = argparse.ArgumentDefaultsHelpFormatter
    parser = argparse.ArgumentParser(
        "make accuracy", description=__doc__, formatter_class=formatter
    )
    add, names = parser.add_argument, ",".join(["ours", *PEERS])
    add("--recordings", nargs="+", metavar="NAME", default=[], help="or kinds: conversations, edge")
    add("--systems", default="ours,best", help=f"of {names}")
    add("--precision", nargs="+", choices=PRECISIONS, default=["auto"], help="of ours")
    add("--num-speakers", action="store_true", help="ours also told how many speakers there are")
    add("--offsets", type=int, default=1, metavar="N", help="hear each recording N times")
    add("--threads", type=int, default=os.cpu_count() or 1, help="of every system")
    add("--out", type=Path, default=run.LOCAL / "accuracy.md", help="the report")
    options = parser.parse_args()
    options.systems = options.systems.split(",")
    if unknown := set(options.systems) - {"ours", *PEERS}:
        parser.error(f"--systems: {', '.join(sorted(unknown))}: give some of {names}")
    return options


def hear(options: argparse.Namespace, names: Sequence[str], offsets_s: list[float]) -> run.Results:
    """What the systems make of the recordings, this project's first; of failed ones nothing."""
    entries: list[Entry] = []
    if "ours" in options.systems:
        make = partial(OurEndpoint, with_turns=True)
        makes = {f"ours, {name}": partial(make, name) for name in options.precision}
        if options.num_speakers:
            makes["ours, told speakers"] = partial(make, told_speakers=True)
        entries = [Entry(name, makes[name], takes_file=True) for name in makes]
    peers = [PEERS[name] for name in PEERS if name in options.systems]
    parts = {part.name: part for peer in peers for part in peer.parts}
    tasks = [run.Task(entry, names, None, offsets_s) for entry in (*entries, *parts.values())]
    results = run.measure(tasks, 1, options.threads)
    ours = {entry.name: results.get(entry.name, {}) for entry in entries}
    return ours | {peer.name: peer.combined(results) for peer in peers}


def tables(clips: Sequence[corpus.Clip], scores: dict[str, dict[str, Scores]]) -> Iterator[str]:
    """The report's parts, from scores by system and recording; rows may be several recordings."""
    talks, utterances, silent = (
        {clip.name: [clip.name] for clip in clips if clip.kind == kind} for kind in corpus.KINDS
    )
    texts = {clip.name: [clip.name] for clip in clips if clip.utterances}
    texts["utterances"] = [*utterances]
    exact = {clip.name: [clip.name] for clip in clips if clip.has_exact_borders}
    means = {
        "mean of the five talks": [*TALKS] if set(TALKS) <= set(talks) else [],
        "mean of the meetings": [name for name in talks if name.startswith(MEETINGS_PREFIX)],
        "mean of all": [*talks],
    }
    every = [name for group in texts.values() for name in group]
    parts = {
        "Who says what": (SPEAKERS, talks | means),
        "What is said": (SPELLING, texts | {"all": every}),
        "Words' times at the borders of turns": (BORDERS, exact | {"all": [*exact]}),
        "Words heard where nobody speaks": (["words"], silent | {"all": [*silent]}),
    }
    for title, (columns, groups) in parts.items():
        rows = []
        for label, names in groups.items():
            for system, found in scores.items() if names else ():
                pooled = Scores.pooled(found[name] for name in names)
                rows.append([label, system, *(COLUMNS[column](pooled) for column in columns)])
        if rows:
            yield f"## {title}\n\n{run.markdown_table(['', 'system', *columns], rows)}"


def main() -> None:
    options = parse()
    convert_for_ctranslate2()
    clips = corpus.find_clips(options.recordings)
    offsets_s = [n * OFFSET_STEP_S for n in range(options.offsets)]
    scores: dict[str, dict[str, Scores]] = {}
    heard = hear(options, [clip.name for clip in clips], offsets_s)
    for system, found in heard.items():
        for clip in clips if found else ():
            delayed = [clip.delayed(offset_s) for offset_s in offsets_s]
            pairs = zip(delayed, found[clip.name].hypotheses, strict=True)
            pooled = Scores.pooled(Scores.of(*pair) for pair in pairs)
            scores.setdefault(system, {})[clip.name] = pooled
    page = ["# Accuracy", f"Written by `make accuracy`. {run.describe_machine(options.threads)}"]
    page += [f"Each recording was heard {options.offsets} times."] if options.offsets > 1 else []
    run.publish([*page, *tables(clips, scores)], options.out)
    if not all(heard.values()):
        sys.exit("a system failed: see above")


if __name__ == "__main__":
    main()
