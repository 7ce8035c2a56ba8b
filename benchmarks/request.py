"""The whole request, words and speakers: this project's handler against faster-whisper followed by pyannote.audio."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks import asr
from benchmarks.engines import System
from benchmarks.measured_process import Task, rounds, summary
from benchmarks.measures import SaidWord, speaker_word_error_rate, word_speaker_accuracy
from benchmarks.section import Found, Options, Section, markdown_table, number
from benchmarks.sounds import sound

PROJECT = System("this project", "our request")
ASSISTED = System("this project, assisted", "our request", {"assisted": True})
PEER = System(
    "faster-whisper batched (16), int8, then pyannote.audio",
    "peers' request",
    {"design": "best", "mode": "batched"},
)
CAREFUL_PEER = System(
    "faster-whisper sequential, int8, then pyannote.audio",
    "peers' request",
    {"design": "best", "mode": "sequential"},
)
ORIGINAL = System(
    "the original: transformers chunked, then pyannote.audio",
    "peers' request",
    {"design": "original"},
)
SOUNDS = ("phone_call", "four_speakers_text")
LONG_SOUNDS = ("long_five_speakers",)
QUICK_SOUNDS = ("phone_call",)


def measure(options: Options) -> Found:
    """The section of the benchmark; the peers' minutes are measured once."""
    sounds = (
        QUICK_SOUNDS if options.quick else SOUNDS + LONG_SOUNDS if options.everything else SOUNDS
    )
    from benchmarks.peers import ctranslate2_directory

    # Made once, and not while a peer is timed.
    ctranslate2_directory()
    planned = [Task(system, sounds) for system in (PROJECT, ASSISTED, PEER)]
    # Minutes for every minute of audio.
    planned += [
        Task(system, sounds if options.everything else QUICK_SOUNDS)
        for system in (CAREFUL_PEER, ORIGINAL)
    ]
    planned = [task for task in planned if options.wants(task.system.name)]
    runs = rounds(
        planned,
        options.repeats,
        options.threads,
        slow=[PEER.name, CAREFUL_PEER.name, ORIGINAL.name],
    )
    return {"systems": {name: summary(found, describe) for name, found in runs.items()}}


def describe(name: str, entries: Sequence[Found]) -> Found:
    """Scores of the first round; the memory of all processes that a system has."""
    first = entries[0]
    return {
        "wer": asr.word_error_rate(name, first["texts"]),
        **word_scores(name, first["words"]),
        "peak_mb": max(_peak_mb(entry) for entry in entries),
        "figures": first["figures"],
    }


def _peak_mb(entry: Found) -> float:
    """Of all processes that a system has."""
    return float(entry["rss_peak_mb"] + entry["figures"].get("second_process_mb", 0.0))


def word_scores(name: str, words: Sequence[Found]) -> Found:
    """The share of the words on the right speaker, and cpWER; None where nobody wrote down who speaks, or what."""
    recording, said = sound(name), [SaidWord(**word) for word in words]
    return {
        "right_speaker": word_speaker_accuracy(recording.turns, said) if recording.turns else None,
        "cpwer": speaker_word_error_rate(recording.segments, said, "en")
        if recording.segments
        else None,
    }


def tables(found: Found) -> str:
    systems = found["systems"]
    rows = []
    for name in dict.fromkeys(name for system in systems.values() for name in system["sounds"]):
        peer = systems.get(PEER.name, {"sounds": {}})["sounds"].get(name)
        for system, entries in systems.items():
            if name in entries["sounds"]:
                rows.append(_row(name, system, entries["sounds"][name], peer))
    head = [
        "recording",
        "system",
        "seconds",
        "of it speech",
        "of it speakers",
        "RTF",
        "WER",
        "cpWER",
        "right speaker",
    ]
    return markdown_table([*head, "memory, MB", f"faster than {PEER.name}"], rows)


def _row(name: str, system: str, entry: Found, peer: Found | None) -> list[str]:
    return [
        f"{name} ({sound(name).duration_s:.0f} s)",
        system,
        number(entry["median_s"]),
        number(entry["figures"].get("asr")),
        number(entry["figures"].get("diarization")),
        number(entry["rtf"], 3),
        number(entry["wer"], 3),
        number(entry["cpwer"], 3),
        number(entry["right_speaker"], 3),
        number(entry["peak_mb"], 0),
        f"{peer['median_s'] / entry['median_s']:.2f} ×" if peer else "–",
    ]


SECTION = Section("request", "The whole request: words and speakers", measure, tables)
