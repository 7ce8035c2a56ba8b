"""Speech to text: this project against faster-whisper and transformers, same weights, files and threads."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any

from benchmarks import child
from benchmarks.engines import System
from benchmarks.measured_process import Task, rounds, summary
from benchmarks.measures import WordErrors, word_errors
from benchmarks.section import Found, Options, Section, markdown_table, number
from benchmarks.sounds import UTTERANCES, sound

PROJECT = "this project"
REFERENCE = "faster-whisper batched (16), int8"
CALLS = "phone_call x6"
LONG = "long_five_speakers"
SOUNDS = ("phone_call", UTTERANCES, CALLS, "four_speakers_text", LONG)
QUICK_SOUNDS = ("phone_call", UTTERANCES)
# Several windows, so that every system has met its batch before the clock runs.
WARM_UP = CALLS
BATCHES = (1, 8, 24)
FIVE_BEAMS = System(
    "transformers chunked (24), float32, five beams (its default)",
    "transformers",
    {"mode": "chunked"},
)


def ours(
    precision: str, batch_size: int, assisted: bool = False, second_looks: int | None = None
) -> System:
    """This project at a precision, or with what it picks itself ("auto")."""
    name = f"{PROJECT}{'' if precision == 'auto' else ', ' + precision}, batch {batch_size}"
    name += ", assisted" if assisted else ""
    name += ", no second look at uncovered speech" if second_looks == 0 else ""
    options = {
        "precision": precision,
        "batch_size": batch_size,
        "assisted": assisted,
        "second_looks": second_looks,
    }
    return System(name, "ours", options)


def project() -> Iterator[System]:
    """What a reader compares: the defaults, with and without what can be switched."""
    for batch_size in BATCHES:
        for assisted in (False, True):
            yield ours("auto", batch_size, assisted)
    yield ours("auto", 24, second_looks=0)


def precisions() -> Iterator[System]:
    """Every number format, batch size, drafted or not: on one recording only, for they are many."""
    for precision in ("float32", "int8", "bf16"):
        for batch_size in BATCHES:
            for assisted in (False, True):
                yield ours(precision, batch_size, assisted)


def faster_whisper() -> Iterator[System]:
    """Its ways; without word times, as it comes, though this project's answers always have them."""
    for compute_type in ("int8", "float32"):
        options: dict[str, Any] = {"compute_type": compute_type}
        yield System(
            f"faster-whisper batched (16), {compute_type}",
            "faster-whisper",
            {"mode": "batched"} | options,
        )
        yield System(
            f"faster-whisper sequential, {compute_type}",
            "faster-whisper",
            {"mode": "sequential"} | options,
        )
    options = {"mode": "batched", "compute_type": "int8", "words": True}
    yield System(f"{REFERENCE}, word times", "faster-whisper", options)


def transformers() -> Iterator[System]:
    yield System(
        "transformers chunked (24), float32, greedy",
        "transformers",
        {"mode": "chunked", "greedy": True},
    )
    yield FIVE_BEAMS
    yield System("transformers sequential, float32", "transformers", {"mode": "sequential"})


def tasks(options: Options) -> list[Task]:
    """What is measured, and on what."""
    sounds = QUICK_SOUNDS if options.quick else SOUNDS
    warm_up = "phone_call" if options.quick else WARM_UP
    planned = [Task(system, sounds, warm_up) for system in (*project(), *faster_whisper())]
    few = sounds if options.everything else ("phone_call",) if options.quick else (CALLS,)
    planned += [Task(system, few, warm_up) for system in precisions()]
    slow = sounds if options.everything else ("phone_call",) if options.quick else (CALLS, LONG)
    # Minutes each: once, and cold, which is a second at most. Five beams on LONG would be half an hour.
    planned += [
        Task(system, slow if system != FIVE_BEAMS else few, None) for system in transformers()
    ]
    return [task for task in planned if options.wants(task.system.name)]


def measure(options: Options) -> Found:
    """The section of the benchmark."""
    from benchmarks.peers import ctranslate2_directory

    # Made once, and not while a peer is timed.
    ctranslate2_directory()
    planned = tasks(options)
    runs = rounds(
        planned, options.repeats, options.threads, slow=[system.name for system in transformers()]
    )
    systems = {
        task.system.name: {
            "options": asdict(task.system),
            **summary(runs[task.system.name], describe),
        }
        for task in planned
        if task.system.name in runs
    }
    return {"systems": systems}


def describe(name: str, entries: Sequence[Found]) -> Found:
    """Texts and scores of the first round."""
    first = entries[0]
    tokens = sum(token_count(text) for text in first["texts"])
    return {
        "words": sum(len(text.split()) for text in first["texts"]),
        "tokens": tokens,
        "tokens_per_s": tokens / statistics.median(entry["seconds"] for entry in entries),
        "wer": word_error_rate(name, first["texts"]),
        "figures": first["figures"],
        "texts": first["texts"],
    }


def word_error_rate(name: str, texts: Sequence[str]) -> float | None:
    """WER of a sound's texts, one for each part; None where nobody wrote down what is said."""
    pairs = zip(sound(name).transcripts, texts, strict=True) if sound(name).transcripts else ()
    errors = [word_errors(said, text) for said, text in pairs]
    return sum(errors, WordErrors()).rate if errors else None


@cache
def _tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(child.REPOSITORY / child.ASR_MODEL)


def token_count(text: str) -> int:
    """Whisper's tokens in a text: the same measure for every system, whatever else it decoded on the way."""
    return len(_tokenizer().encode(text, add_special_tokens=False))


def tables(found: Found) -> str:
    systems = found["systems"]
    names = dict.fromkeys(name for system in systems.values() for name in system["sounds"])
    return "\n\n".join(f"{_title(name)}\n\n{_table(systems, name)}" for name in names)


def _title(name: str) -> str:
    recording = sound(name)
    said = " ".join(recording.transcripts)
    reference = f"{len(said.split())} words in the reference" if said else "no reference text"
    return f"**{name}** ({recording.duration_s:.0f} s; {reference})"


def _table(systems: Found, name: str) -> str:
    entries = {
        system: found["sounds"][name]
        for system, found in systems.items()
        if name in found["sounds"]
    }
    reference = entries.get(REFERENCE)
    rows = [
        [
            system,
            number(entry["median_s"]),
            number(entry["rtf"], 3),
            number(entry["tokens_per_s"], 0),
            number(entry["wer"], 3),
            str(entry["words"]),
            _same_text(entries, system),
            number(entry["figures"].get("tokens_per_step")),
            number(entry["peak_mb"], 0),
            f"{reference['median_s'] / entry['median_s']:.2f} ×" if reference else "–",
        ]
        for system, entry in entries.items()
    ]
    head = [
        "system",
        "seconds",
        "RTF",
        "tokens/s",
        "WER",
        "words",
        "same text",
        "tokens/step",
        "memory, MB",
    ]
    return markdown_table([*head, f"faster than {REFERENCE}"], rows)


def _same_text(entries: Found, system: str) -> str:
    """Whether drafting left the text as it was."""
    plain = entries.get(system.replace(", assisted", ""))
    if plain is None or ", assisted" not in system:
        return ""
    return "yes" if plain["texts"] == entries[system]["texts"] else "NO"


SECTION = Section("asr", "Speech to text", measure, tables)
