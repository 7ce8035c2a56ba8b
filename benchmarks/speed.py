"""How fast this project is beside others, on the same weights and recordings.

Figures are medians of loaded and warm systems, each in a process of its own. "ours is faster"
compares with this project's first row, in the same run. Measure on an idle machine only: a second
busy process slows PyTorch's threads many times over.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks import corpus, run, systems
from benchmarks.cascades import PYANNOTE, BestPractice
from benchmarks.run import Results, Task
from benchmarks.scores import COLUMNS, Scores, number
from benchmarks.systems import Entry, FasterWhisper, OurEndpoint, OurRecogniser, TransformersChunked

ASR_CLIPS = "phone_call", "utterances", "phone_call x6", "four_speakers_text", "long_five_speakers"
DIARIZATION_CLIPS = (
    "phone_call", "two_speakers", "three_speakers_overlap", "four_speakers", "ami_dev00",
    "ami_trn09", "ami_trn07",
)  # fmt: skip
REQUEST_CLIPS = "phone_call", "four_speakers_text"
Options = argparse.Namespace


def parse() -> Options:
    formatter = argparse.ArgumentDefaultsHelpFormatter
    parser = argparse.ArgumentParser("make bench", description=__doc__, formatter_class=formatter)
    add, some = parser.add_argument, partial(parser.add_argument, nargs="+")
    some("--sections", choices=SECTIONS, default=[*SECTIONS], help="what is measured")
    some("--recordings", metavar="NAME", help='instead of each section\'s, say "phone_call x6"')
    some("--systems", metavar="TEXT", default=[""], help="only those with one of these in the name")
    some("--precision", choices=systems.PRECISIONS, default=["auto"], help="number formats of ours")
    some("--batch-size", metavar="N", type=int, default=[24], help="windows at once, of ours")
    some("--minutes", metavar="N", type=float, default=[1, 3, 10, 30, 60, 180], help="for growth")
    add("--drafting", action="store_true", help="ours also with whisper-tiny.en as a draft model")
    add("--slow", action="store_true", help="also systems that need about as long as the audio")
    add("--rounds", type=int, default=3, help="medians are reported; slow systems have one")
    add("--threads", type=int, default=2, help="of every system")
    add("--out", type=Path, default=run.LOCAL / "speed.md", help="the report")
    return parser.parse_args()


def asr(options: Options) -> str:
    """Speech to text. Ours always has word times, the others where it is said."""
    entries = []
    for precision in options.precision:
        for batch_size in options.batch_size:
            make = partial(OurRecogniser, precision, batch_size)
            entries += _ours(f"ours, {precision}, batch {batch_size}", make, options)
    for compute_type in ("int8", "float32"):
        for mode in ("batched", "sequential"):
            make_peer = partial(FasterWhisper, mode, compute_type)
            entries.append(Entry(f"faster-whisper {mode}, {compute_type}", make_peer))
    entries.append(BestPractice("batched").parts[0])
    for num_beams, label in ((1, "greedy"), (5, "five beams, its default")):
        chunked = partial(TransformersChunked, num_beams)
        entries.append(Entry(f"transformers chunked, {label}", chunked, is_slow=True))
    entries.append(Entry("transformers sequential", systems.TransformersSequential, is_slow=True))
    results = _measure(entries, options.recordings or ASR_CLIPS, options, warm_up="phone_call x6")
    return _table(results, ["WER", "words"])


def diarization(options: Options) -> str:
    """Who spoke when."""
    entries = [Entry("ours", systems.OurDiarizer), PYANNOTE]
    results = _measure(entries, options.recordings or DIARIZATION_CLIPS, options)
    return _table(results, ["DER", "speakers ±"])


def request(options: Options) -> str:
    """Words and speakers. The others' seconds are the sum of those of their parts."""
    entries = []
    for precision in options.precision:
        entries += _ours(f"ours, {precision}", partial(OurEndpoint, precision), options)
    peers = [BestPractice(mode) for mode in ("batched", "sequential")[: 1 + options.slow]]
    peers = [peer for peer in peers if _is_wanted(peer.name, options)]
    parts = {part.name: part for peer in peers for part in peer.parts}
    entries = [entry for entry in entries if _is_wanted(entry.name, options)]
    names = options.recordings or REQUEST_CLIPS
    tasks = [Task(entry, names) for entry in (*entries, *parts.values())]
    results = run.measure(tasks, options.rounds, options.threads)
    shown = {name: results[name] for name in results if name not in parts}
    shown |= {peer.name: peer.combined(results) for peer in peers}
    return _table(shown, ["WER", "cpWER", "word speaker accuracy"], timings=["asr", "diarization"])


def growth(options: Options) -> str:
    """Time and memory by the length of the audio; every length in a process of its own, once."""
    head = ["", "minutes", "seconds", "seconds per minute", "words", "memory, MB", "beside audio"]
    rows = []
    both = Entry("words and speakers", OurEndpoint, takes_file=True)
    for entry in (Entry("words", OurRecogniser), both):
        for minutes in options.minutes if _is_wanted(entry.name, options) else []:
            name = f"minutes {minutes:g}"
            for found in run.measure([Task(entry, [name])], 1, options.threads).values():
                result = found[name]
                words = str(len(result.hypotheses[0].text.split()))
                cells = [number(result.median_s, 1), number(result.median_s / minutes), words]
                memory_mb = (result.peak_mb, result.peak_mb - result.audio_mb)
                rows.append([entry.name, f"{minutes:g}", *cells, *(f"{x:.0f}" for x in memory_mb)])
    return run.markdown_table(head, rows)


SECTIONS: dict[str, Callable[[Options], str]] = {
    "asr": asr, "diarization": diarization, "request": request, "growth": growth,
}  # fmt: skip


def _ours(name: str, make: partial, options: Options) -> list[Entry]:
    takes_file = make.func is OurEndpoint
    makes = {name: make}
    if options.drafting:
        makes[f"{name}, drafting"] = partial(make, drafting=True)
    return [Entry(name, makes[name], takes_file=takes_file) for name in makes]


def _is_wanted(name: str, options: Options) -> bool:
    return any(part.lower() in name.lower() for part in options.systems)


def _measure(
    entries: Sequence[Entry], names: Sequence[str], options: Options, warm_up: str = "phone_call"
) -> Results:
    """Those of the systems that were asked for; slow ones cold, which is a second at most."""
    tasks = [
        Task(entry, names, None if entry.is_slow else warm_up)
        for entry in entries
        if _is_wanted(entry.name, options) and (options.slow or not entry.is_slow)
    ]
    return run.measure(tasks, options.rounds, options.threads)


def _table(results: Results, columns: Sequence[str], timings: Sequence[str] = ()) -> str:
    """A row for each recording and system."""
    head = ["recording", "system", "seconds", *(f"of it {part}" for part in timings), "RTF"]
    ours = next((found for name, found in results.items() if name.startswith("ours")), {})
    rows = []
    for name in dict.fromkeys(name for found in results.values() for name in found):
        clips = corpus.load(name)
        for system, found in results.items():
            if name not in found:
                continue
            result = found[name]
            pairs = zip(clips, result.hypotheses, strict=True)
            scores = Scores.pooled(Scores.of(*pair) for pair in pairs)
            parts = [number(result.hypotheses[0].timings_s.get(part)) for part in timings]
            cells = [number(result.median_s), *parts, f"{result.median_s / result.duration_s:.3f}"]
            cells += [*(COLUMNS[column](scores) for column in columns), f"{result.peak_mb:.0f}"]
            ratio = f"{result.median_s / ours[name].median_s:.2f} ×" if ours else "–"
            rows.append([f"{name} ({result.duration_s:.0f} s)", system, *cells, ratio])
    return run.markdown_table([*head, *columns, "memory, MB", "ours is faster"], rows)


def main() -> None:
    options = parse()
    # Once, and not while a peer is timed.
    systems.convert_for_ctranslate2()
    machine = run.describe_machine(options.threads)
    page = ["# Speed", f"Written by `make bench`; medians of {options.rounds} rounds. {machine}"]
    for name in options.sections:
        run.say(f"{name} …")
        page += [f"## {name}", str(SECTIONS[name].__doc__), SECTIONS[name](options)]
    run.publish(page, options.out)


if __name__ == "__main__":
    main()
