"""Clocks that know what a GPU is, and results that outlive a timeout."""

from __future__ import annotations

import json
import os
import statistics
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

LOCAL = Path(__file__).resolve().parent.parent / "results" / "local"
HOUR_S = 3600.0


@dataclass(frozen=True)
class Section:
    """One question, and its price."""

    name: str
    needs_s: float
    """Time that it may take on an H100."""
    ask: Callable[[Bench], None]
    gpu_only: bool = False


@dataclass
class Bench:
    """Where sections run, and what they have to keep to."""

    device: torch.device
    small: bool = False
    """Shapes that a CPU computes in no time: they show that a section runs, not how fast."""
    limit_s: float = 300.0
    out: Path = field(default_factory=lambda: Path(os.environ.get("OUT") or LOCAL))
    started: float = field(default_factory=time.perf_counter)

    @property
    def dtype(self) -> torch.dtype:
        return torch.float16 if self.device.type == "cuda" else torch.float32

    @property
    def elapsed_s(self) -> float:
        return time.perf_counter() - self.started

    def say(self, section: str, **found: Any) -> None:
        """A line of JSON on the screen and in results.jsonl, at once."""
        head = {"section": section, "at_s": round(self.elapsed_s, 1)}
        line = json.dumps(head | found, default=str)
        print(line, flush=True)
        self.out.mkdir(parents=True, exist_ok=True)
        with (self.out / "results.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def run(self, sections: Sequence[Section]) -> None:
        """Ask what there is time for; one that fails says why, and the next runs."""
        for section in sections:
            left_s = self.limit_s - self.elapsed_s
            if section.gpu_only and self.device.type != "cuda":
                self.say(section.name, skipped="needs a GPU")
            elif left_s < section.needs_s and not self.small:
                self.say(section.name, skipped=f"{left_s:.0f} s left of {section.needs_s:.0f}")
            else:
                self._ask(section)

    def _ask(self, section: Section) -> None:
        try:
            section.ask(self)
        except Exception as error:
            where = traceback.format_exc().strip().splitlines()[-5:-1]
            self.say(section.name, failed=repr(error)[:400], where=where)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def wait(self) -> None:
        """Until the device has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def wall_ms(self, function: Callable[[], Any], repeats: int = 10, warm: int = 3) -> float:
        """Median milliseconds of a call and all that it has the device do."""
        return statistics.median(self._wall_ms(function) for _ in range(warm + repeats))

    def device_ms(self, function: Callable[[], Any], repeats: int = 20, warm: int = 3) -> float:
        """Median milliseconds of the device; on a CPU the wall's."""
        if self.device.type != "cuda":
            return self.wall_ms(function, repeats=3, warm=1)
        for _ in range(warm):
            function()
        self.wait()
        return statistics.median(_event_ms(function) for _ in range(repeats))

    def host_us(self, function: Callable[[], Any], calls: int = 1000) -> float:
        """Microseconds that the host takes to give the device a piece of work."""
        function()
        self.wait()
        started = time.perf_counter()
        for _ in range(calls):
            function()
        spent_s = time.perf_counter() - started
        self.wait()
        return 1e6 * spent_s / calls

    def captured(self, function: Callable[[], Any], warm: int = 3) -> Callable[[], Any]:
        """The function's work as a CUDA graph, whose tensors must stay; on a CPU itself."""
        if self.device.type != "cuda":
            return function
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(warm):
                function()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            function()
        return graph.replay

    def peak_gib(self) -> float | None:
        """The most that tensors took since `forget_peak`; None on a CPU."""
        if self.device.type != "cuda":
            return None
        return round(torch.cuda.max_memory_allocated() / 2**30, 2)

    def forget_peak(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()

    def _wall_ms(self, function: Callable[[], Any]) -> float:
        self.wait()
        started = time.perf_counter()
        function()
        self.wait()
        return 1000 * (time.perf_counter() - started)


def _event_ms(function: Callable[[], Any]) -> float:
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record()
    function()
    last.record()
    last.synchronize()
    return first.elapsed_time(last)


def machine(bench: Bench) -> None:
    """Bandwidth, speed at the encoder's shape, the price of a launch and of a graph's node."""
    device, dtype = bench.device, bench.dtype
    rows, mib = (60, 8) if bench.small else (6000, 1024)
    big = torch.empty(mib * 2**20, dtype=torch.uint8, device=device)
    half = len(big) // 2
    copy_ms = bench.device_ms(lambda: big[:half].copy_(big[half:]))
    x = torch.randn(rows, 1280, device=device, dtype=dtype)
    weight = torch.randn(5120, 1280, device=device, dtype=dtype)
    product_ms = bench.device_ms(lambda: torch.nn.functional.linear(x, weight))
    few = torch.randn(24, 1280, device=device, dtype=dtype)

    def thousand() -> None:
        for _ in range(1000):
            few.add_(1e-6)

    nodes = bench.captured(thousand, warm=1)
    is_gpu = device.type == "cuda"
    bench.say(
        "machine",
        device=torch.cuda.get_device_name(device) if is_gpu else "cpu",
        shapes="small: only whether it runs" if bench.small else "real",
        torch=torch.__version__,
        cores=os.cpu_count(),
        copy_tb_s=round(len(big) / copy_ms / 1e9, 3),
        product_tflops=round(2 * rows * 1280 * 5120 / product_ms / 1e9, 2),
        host_us_a_launch=round(bench.host_us(lambda: few.add_(0.0)), 1),
        graph_us_a_node=round(bench.device_ms(nodes, repeats=5), 2),
    )
