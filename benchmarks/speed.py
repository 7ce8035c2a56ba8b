"""How fast this project is beside others, on the same weights and recordings.

Seconds are medians over the rounds, each in a process of its own, warm unless it says "cold"; a
part's ("of it") are the first round's. Memory is the most that the process had resident while it
heard the recording: Python, libraries, models, audio. A cascade of two systems has the sum of their
seconds and the larger memory. "ours is faster" compares with this project's first row, in the same
run. Measure on an idle machine only: a second busy process slows PyTorch's threads many times over.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

from benchmarks import cascades, corpus, run, systems
from benchmarks.cascades import PYANNOTE, RECOGNISERS
from benchmarks.run import WARM_UP, Results, Runner, is_wanted
from benchmarks.scores import DASH, cell, number, pooled, score
from benchmarks.systems import Entry, FasterWhisper, OurEndpoint, OurRecogniser, TransformersChunked
from speech_endpoint.transcript import SAMPLE_RATE_HZ

CLIPS = {
    "asr": ("phone_call", "utterances", "phone_call x6", "four_speakers_text",
            "long_five_speakers"),
    "diarization": ("phone_call", "two_speakers", "three_speakers_overlap", "four_speakers",
                    "ami_dev00", "ami_trn09", "ami_trn07"),
    "request": ("phone_call", "four_speakers_text"),
}  # fmt: skip
# Of `minutes N`: the file's 16 bits a sample, and the waveform's 32.
AUDIO_MIB_PER_MINUTE = 60 * SAMPLE_RATE_HZ * (2 + 4) / 2**20
Options = argparse.Namespace


def parse() -> Options:
    parser = run.parser("make bench", __doc__, "speed.md")
    add, some = parser.add_argument, partial(parser.add_argument, nargs="+")
    some("--sections", choices=SECTIONS, default=[*SECTIONS], help="what is measured")
    some("--batch-size", metavar="N", type=int, default=[24], help="windows at once, of ours")
    some("--minutes", metavar="N", type=float, default=[1, 3, 10, 30, 60, 180], help="for growth")
    add("--drafting", action="store_true", help="ours also with whisper-tiny.en as a draft model")
    add("--rounds", type=int, default=3, help="slow systems have one")
    return parser.parse_args()


def recordings(section: str, options: Options) -> Sequence[str]:
    """What a section's systems hear."""
    if section == "growth":
        return [f"minutes {minutes:g}" for minutes in options.minutes]
    return options.recordings or CLIPS[section]


def asr(runner: Runner, options: Options) -> str:
    """Speech to text. Ours always has word times, the others where it is said."""
    ours = {
        f"ours, {precision}, batch {batch_size}": partial(OurRecogniser, precision, batch_size)
        for precision in options.precision
        for batch_size in options.batch_size
    }
    entries = _ours(ours, options)
    for compute_type in ("int8", "float32"):
        for mode in ("batched", "sequential"):
            make = partial(FasterWhisper, mode, compute_type)
            entries.append(Entry(f"faster-whisper {mode}, {compute_type}", make))
    entries.append(next(iter(RECOGNISERS.values())))
    for num_beams, label in ((1, "greedy"), (5, "five beams, its default")):
        chunked = partial(TransformersChunked, num_beams)
        entries.append(Entry(f"transformers chunked, {label}", chunked, is_slow=True))
    entries.append(Entry("transformers sequential", systems.TransformersSequential, is_slow=True))
    wanted = _wanted(entries, options)
    results = runner.measure(wanted, recordings("asr", options), warm_up=f"{WARM_UP} x6")
    return _table(results, ["WER", "words"])


def diarization(runner: Runner, options: Options) -> str:
    """Who spoke when."""
    wanted = _wanted([Entry("ours", systems.OurDiarizer), PYANNOTE], options)
    results = runner.measure(wanted, recordings("diarization", options))
    return _table(results, ["DER", "speakers ±"])


def request(runner: Runner, options: Options) -> str:
    """Words and speakers."""
    makes = {f"ours, {name}": partial(OurEndpoint, name) for name in options.precision}
    entries = _ours(makes, options, takes_file=True)
    results = cascades.measure(runner, entries, options, names=recordings("request", options))
    columns = ["WER", "cpWER", "word speaker accuracy"]
    return _table(results, columns, timings=["asr", "diarization"])


def growth(runner: Runner, options: Options) -> str:
    """Time and memory by the length of the audio; every length in a process of its own, once."""
    both = Entry("ours, words and speakers", OurEndpoint, takes_file=True)
    once, rows = replace(runner, rounds=1), []
    for entry in _wanted([Entry("ours, words", OurRecogniser), both], options):
        for name in recordings("growth", options):
            for found in once.measure([entry], [name]).values():
                result, minutes = found[name], found[name].duration_s / 60
                n_words = len(result.hypotheses[0].text.split())
                without_audio_mib = result.peak_mib - minutes * AUDIO_MIB_PER_MINUTE
                seconds = number(result.median_s, 1), number(result.median_s / minutes)
                memory = number(result.peak_mib, 0), number(without_audio_mib, 0)
                rows.append([entry.name, f"{minutes:g}", *seconds, str(n_words), *memory])
    head = ["system", "minutes", "seconds", "seconds per minute", "words"]
    return run.markdown_table([*head, "memory, MiB", "of it not audio"], rows)


SECTIONS: dict[str, Callable[[Runner, Options], str]] = {
    "asr": asr, "diarization": diarization, "request": request, "growth": growth,
}  # fmt: skip


def _ours(makes: dict[str, Any], options: Options, *, takes_file: bool = False) -> list[Entry]:
    for name, make in [*makes.items()] if options.drafting else []:
        makes[f"{name}, drafting"] = partial(make, drafting=True)
    return [Entry(name, make, takes_file=takes_file) for name, make in makes.items()]


def _wanted(entries: Sequence[Entry], options: Options) -> list[Entry]:
    return [one for one in entries if is_wanted(one.name, options, is_slow=one.is_slow)]


def _table(results: Results, columns: Sequence[str], timings: Sequence[str] = ()) -> str:
    """A row for each recording and system."""
    ours = next((found for name, found in results.items() if name.startswith("ours")), {})
    rows = []
    for name in next(iter(results.values()), {}):
        clips = corpus.load(name)
        for system, found in results.items():
            result = found[name]
            pairs = zip(clips, result.hypotheses, strict=True)
            scores = pooled(score(*pair) for pair in pairs)
            parts = [number(result.hypotheses[0].timings_s.get(part)) for part in timings]
            cells = [result.rounds, number(result.median_s), *parts]
            cells += [number(result.median_s / result.duration_s, 3)]
            cells += [*(cell(column, scores) for column in columns), number(result.peak_mib, 0)]
            ratio = f"{result.median_s / ours[name].median_s:.2f} ×" if ours else DASH
            rows.append([f"{name} ({result.duration_s:.0f} s)", system, *cells, ratio])
    head = ["recording", "system", "rounds", "seconds", *(f"of it {part}" for part in timings)]
    return run.markdown_table([*head, "RTF", *columns, "memory, MiB", "ours is faster"], rows)


def main() -> None:
    options = parse()
    try:
        for name in {WARM_UP, *chain(*(recordings(one, options) for one in options.sections))}:
            corpus.load(name)
    except corpus.RecordingNotFoundError as error:
        sys.exit(f"error: {error}")
    # Once, and not while a peer is timed.
    systems.convert_for_ctranslate2()
    runner = Runner(options.threads, options.rounds)
    machine = run.describe_machine(options.threads)
    run.publish(options.out, "# Speed", str(__doc__), machine, mode="w")
    for name in options.sections:
        run.say(f"{name} …")
        section = SECTIONS[name]
        run.publish(options.out, f"## {name}", str(section.__doc__), section(runner, options))
    runner.finish()


if __name__ == "__main__":
    main()
