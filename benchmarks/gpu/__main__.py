"""Everything about this project that only a GPU can tell, in minutes; docs/gpu/README.md explains.

Sections run in the order of what they are worth. Each prints a line of JSON as soon as it is done,
also to results.jsonl in $OUT (benchmarks/results/local), so that a timeout loses the least. Nothing
of the card's settings is touched.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

# What a bare machine lacks, packed; where something is installed, that is taken.
SITE = Path(__file__).resolve().parent.parent.parent / ".gpu" / "site"
sys.path += [str(SITE)] if SITE.is_dir() else []

import torch

from benchmarks.gpu import hours, kernels, measure, peers, speakers, steps, tokens
from benchmarks.gpu.measure import Bench, Section
from speech_endpoint.hardware import prepare_device

SPEECH = (
    Section("machine", 10, measure.machine),
    Section("tokens", 40, tokens.tokens),
    Section("captured against direct", 30, tokens.captured_against_direct),
    Section("one step", 10, steps.one_step),
    Section("step times", 30, steps.step_times),
    Section("one hour", 45, hours.one_hour),
    Section("voice activity", 5, kernels.voice_activity),
    Section("cross-attention", 40, kernels.cross_attention),
    Section("row invariance", 20, kernels.row_invariance),
    Section("encoder", 15, kernels.encoder),
    Section("acceptance", 50, hours.acceptance),
    Section("one hour, issued directly", 60, hours.one_hour_issued_directly),
    Section("memory", 30, hours.memory, gpu_only=True),
    Section("transformers", 40, peers.transformers),
    Section("faster-whisper", 60, peers.faster_whisper),
    Section("real models", 120, hours.real_models, gpu_only=True),
)
SPEAKERS = (
    Section("machine", 10, measure.machine),
    Section("speakers", 20, speakers.speakers),
    Section("speakers, one hour", 30, speakers.speakers_hour),
)
RUNS = {"speech": SPEECH, "speakers": SPEAKERS}


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("make bench-gpu", description=__doc__)
    parser.add_argument("run", choices=RUNS, nargs="?", default="speech")
    parser.add_argument("--seconds", type=float, default=600.0, help="sections that fit in are run")
    parser.add_argument("--sections", nargs="+", metavar="NAME", help="these alone")
    parser.add_argument("--device", type=torch.device, default=torch.device("cuda"))
    parser.add_argument("--small", action="store_true", help="shapes for a CPU: a trial run")
    return parser.parse_args(arguments)


def main() -> None:
    options = parse()
    prepare_device(options.device)
    bench = Bench(options.device, options.small, options.seconds)
    wanted = options.sections
    bench.run([one for one in RUNS[options.run] if not wanted or one.name in wanted])
    bench.say("end")


if __name__ == "__main__":
    main()
