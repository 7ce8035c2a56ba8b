"""Who says what, how well: this project beside others, on the same weights and recordings.

Where a recording begins decides where each of Whisper's windows lies, and whether a word, even a
sentence, is heard: one system differs by more between two beginnings than two systems at one.
`--offsets 10` hears each recording that often, each time after 0.037 s more of silence, and tells
means; of words and word errors, sums.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from functools import partial

from benchmarks import cascades, corpus, run
from benchmarks.scores import Scores, cell, pooled, score
from benchmarks.systems import Entry, OurEndpoint, convert_for_ctranslate2

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
    parser = run.parser("make accuracy", __doc__, "accuracy.md")
    add = parser.add_argument
    add("--num-speakers", action="store_true", help="ours also told how many speakers there are")
    add("--offsets", type=int, default=1, metavar="N", help="hear each recording N times")
    return parser.parse_args()


def hear(
    runner: run.Runner, options: argparse.Namespace, clips: Sequence[corpus.Clip]
) -> dict[str, dict[str, Scores]]:
    """How well each system hears each recording, this project first; of failed ones nothing."""
    makes = {f"ours, {name}": partial(OurEndpoint, name) for name in options.precision}
    if options.num_speakers:
        makes["ours, told speakers"] = partial(OurEndpoint, told_speakers=True)
    entries = [Entry(name, makes[name], takes_file=True) for name in makes]
    offsets_s = [n * OFFSET_STEP_S for n in range(options.offsets)]
    how = {"names": [clip.name for clip in clips], "warm_up": None, "offsets_s": offsets_s}
    results = cascades.measure(runner, entries, options, **how)
    scores: dict[str, dict[str, Scores]] = {name: {} for name in results}
    for clip in clips:
        delayed = [clip.delayed(offset_s) for offset_s in offsets_s]
        for system, found in results.items():
            pairs = zip(delayed, found[clip.name].hypotheses, strict=True)
            scores[system][clip.name] = pooled(score(*pair) for pair in pairs)
    return scores


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
                together = pooled(found[name] for name in names)
                rows.append([label, system, *(cell(column, together) for column in columns)])
        if rows:
            yield f"## {title}\n\n{run.markdown_table(['', 'system', *columns], rows)}"


def main() -> None:
    options = parse()
    try:
        clips = corpus.find_clips(options.recordings)
    except corpus.RecordingNotFoundError as error:
        sys.exit(f"error: {error}")
    convert_for_ctranslate2()
    runner = run.Runner(options.threads)
    scores = hear(runner, options, clips)
    offsets = f"Offsets: {options.offsets}. {run.describe_machine(options.threads)}"
    run.publish(options.out, "# Accuracy", str(__doc__), offsets, mode="w")
    for table in tables(clips, scores):
        run.publish(options.out, table)
    runner.finish()


if __name__ == "__main__":
    main()
