"""From the start of a process until it can answer, and where that time goes.

The handler starts as it is; the constructors that it calls are timed on the way. Imports are timed in a run of their
own (`python -X importtime`), which slows them a little.
"""

from __future__ import annotations

import importlib
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from benchmarks import child
from benchmarks.process import age_s, rss_mb
from benchmarks.section import Found, Options, Section, markdown_table, number

# What an endpoint builds when it starts: (module, name in it, what it is to a reader).
PARTS = (
    ("speech_endpoint.transcription.transcriber", "load_checkpoint", "reading Whisper's weights"),
    ("speech_endpoint.transcription.transcriber", "Vocabulary", "vocabulary"),
    ("speech_endpoint.transcription.transcriber", "Encoder", "encoder, in its number format"),
    ("speech_endpoint.transcription.transcriber", "Decoder", "decoder, in its number formats"),
    ("speech_endpoint.transcription.transcriber", "Drafter", "drafter"),
    ("speech_endpoint.transcription.transcriber", "SileroVAD", "voice activity"),
    ("diarization_utils", "_load_bundle", "diarizer, pyannote's import included"),
)
VARIANTS = {
    "speech": {},
    "speech, drafter": {"ASSISTANT_MODEL": child.ASSISTANT_MODEL},
    "speech, speakers": {"DIARIZATION_MODEL": child.DIARIZATION_MODEL},
    "speech, drafter, speakers": {
        "ASSISTANT_MODEL": child.ASSISTANT_MODEL,
        "DIARIZATION_MODEL": child.DIARIZATION_MODEL,
    },
}
SHOWN_PACKAGES = 8


class Clock:
    """Adds up the seconds spent in functions."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def watch(self, module: str, name: str, label: str) -> None:
        """Time a function or class of a module from now on, if it is there."""
        owner = importlib.import_module(module)
        if hasattr(owner, name):
            setattr(owner, name, self._timed(getattr(owner, name), label))

    def _timed(self, function: Callable[..., Any], label: str) -> Callable[..., Any]:
        def timed(*values: Any, **named: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*values, **named)
            finally:
                self.seconds[label] += time.perf_counter() - started

        return timed


def start(variables: dict[str, str]) -> Found:
    """Start the endpoint in this process, with the clock running, and let it answer twice."""
    at_start = age_s()
    os.environ.update({"ASR_MODEL": child.ASR_MODEL} | variables)
    import torch

    torch_imported = age_s()
    handler = importlib.import_module("handler")
    imported = age_s()
    clock = Clock()
    for part in PARTS:
        clock.watch(*part)
    endpoint = handler.EndpointHandler(str(child.REPOSITORY))
    ready = age_s()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    from benchmarks.recordings import DATA

    request = {"inputs": (DATA / "formats" / "benchmark_8s.wav").read_bytes(), "parameters": {}}
    answers = []
    for _ in range(2):
        started = time.perf_counter()
        endpoint(request)
        answers.append(time.perf_counter() - started)
    parts = dict(clock.seconds)
    return {
        "ready_s": ready,
        "parts": {
            "interpreter": at_start,
            "import torch": torch_imported - at_start,
            "import handler (transformers, av, scipy, …)": imported - torch_imported,
            **parts,
            "the rest": ready - imported - sum(parts.values()),
        },
        "first_answer_s": answers[0],
        "second_answer_s": answers[1],
        "rss_mb": rss_mb(),
    }


def import_seconds(stderr: str) -> dict[str, float]:
    """Seconds of each package's own modules, from the report of `python -X importtime`; the longest first."""
    seconds: dict[str, float] = defaultdict(float)
    for line in stderr.splitlines():
        fields = line.removeprefix("import time:").split("|")
        if line.startswith("import time:") and fields[0].strip().isdigit():
            seconds[fields[2].strip().split(".")[0]] += int(fields[0]) / 1e6
    return dict(sorted(seconds.items(), key=lambda item: -item[1]))


def measure(options: Options) -> Found:
    """The section of the benchmark."""
    names = [name for name in VARIANTS if options.wants(name)]
    runs: dict[str, list[Found]] = {name: [] for name in names}
    for _ in range(1 if options.quick else options.repeats):
        for name in names:
            runs[name].append(
                child.call("benchmarks.startup", {"variables": VARIANTS[name]}, options.threads)
            )
    last = VARIANTS["speech, drafter, speakers"]
    watched = child.call(
        "benchmarks.startup", {"variables": last}, options.threads, ("-X", "importtime")
    )
    imports = import_seconds(watched["stderr"])
    return {
        "variants": {name: _median(found) for name, found in runs.items()},
        "imports_s": {package: s for package, s in imports.items() if s >= 0.02},
        "imports_total_s": sum(imports.values()),
    }


def _median(runs: list[Found]) -> Found:
    """Medians of figures, and of the parts."""
    parts = {part for run in runs for part in run["parts"]}
    figures: Found = {
        name: statistics.median(run[name] for run in runs) for name in runs[0] if name != "parts"
    }
    in_order = [part for part in runs[0]["parts"] if part in parts]
    return figures | {
        "parts": {
            part: statistics.median(run["parts"].get(part, 0.0) for run in runs)
            for part in in_order
        }
    }


def tables(found: Found) -> str:
    variants = found["variants"]
    labels = list(dict.fromkeys(part for variant in variants.values() for part in variant["parts"]))
    # The rest comes last.
    labels.sort(key=lambda label: label == "the rest")
    rows = [
        [label, *(number(variant["parts"].get(label)) for variant in variants.values())]
        for label in labels
    ]
    rows.append(["**ready**", *(f"**{variant['ready_s']:.2f}**" for variant in variants.values())])
    for label, key in (
        ("first answer (8 s clip)", "first_answer_s"),
        ("second answer", "second_answer_s"),
    ):
        rows.append([label, *(number(variant[key]) for variant in variants.values())])
    rows.append(
        ["memory afterwards, MB", *(number(variant["rss_mb"], 0) for variant in variants.values())]
    )
    longest = list(found["imports_s"].items())[:SHOWN_PACKAGES]
    imports = ", ".join(f"{package} {seconds:.2f}" for package, seconds in longest)
    return (
        f"{markdown_table(['seconds', *variants], rows)}\n\n"
        f"Imports, own time of each package's modules: {imports}; all {found['imports_total_s']:.2f}."
    )


SECTION = Section("startup", "Start-up", measure, tables)


if __name__ == "__main__":
    child.answer(start(child.task()["variables"]))
