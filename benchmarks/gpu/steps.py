"""One decoding step: what waits for what, what is launched, how long it takes."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu.decoding import noise, random_model, scripted
from benchmarks.gpu.measure import Bench
from speech_endpoint.whisper.batching.engine import Engine
from speech_endpoint.whisper.batching.sequence import DecodeOptions, DecodeRequest, RequestGroup
from speech_endpoint.whisper.model.cache import DecoderCache
from speech_endpoint.whisper.model.decoder import Decoder

# (rows, tokens of each) by decoder: what decides which widths are worth drafting.
GRIDS = {
    "large-v3": [(1, 1), (24, 1), (24, 5), (8, 1), (1, 5), (48, 1), (1, 9), (24, 2)],
    "turbo": [(1, 1), (24, 1), (48, 1), (24, 5)],
    "distil": [(1, 1), (24, 1)],
}
LENGTH = 128
N_WINDOWS = 8


@torch.inference_mode()
def one_step(bench: Bench) -> None:
    """Waits for the device, by file and line, and kernels by name, of one step of eight rows."""
    model, _ = random_model(bench, "large-v3")
    engine = Engine(scripted(model, N_WINDOWS), N_WINDOWS)
    group = RequestGroup(DecodeOptions(language="en"))
    for n, window in enumerate(noise(N_WINDOWS)):
        engine.add(DecodeRequest(group, n, float(n), (window,), fallback=False))
    for _ in range(4):
        engine.step()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _watch_waits(bench, "warn")
        engine.step()
        _watch_waits(bench, "default")
    places = Counter(
        f"{Path(warning.filename).name}:{warning.lineno}"
        for warning in caught
        if "synchronizing CUDA operation" in str(warning.message)
    )
    kernels = _kernels(bench, engine)
    bench.say(
        "one step",
        waits=sum(places.values()),
        where=places,
        kernels=sum(kernels.values()),
        layers=len(model.decoder.layers),
        most=kernels.most_common(14),
    )


def _watch_waits(bench: Bench, mode: str) -> None:
    if bench.device.type == "cuda":
        torch.cuda.set_sync_debug_mode(mode)


def _kernels(bench: Bench, engine: Engine) -> Counter[str]:
    """Kernels of a step by name; on a CPU its operations."""
    from torch.profiler import ProfilerActivity, profile

    is_gpu = bench.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if is_gpu else [])]
    with profile(activities=activities) as profiler:
        engine.step()
        bench.wait()
    kind = "CUDA" if is_gpu else "CPU"
    events: Any = profiler.events()
    return Counter(event.name[:60] for event in events if event.device_type.name == kind)


@torch.inference_mode()
def step_times(bench: Bench) -> None:
    """The decoder alone: as it is called, and the same kernels as a graph."""
    for name, grid in GRIDS.items():
        model, _ = random_model(bench, name)
        rows_of_grid = grid[:2] if bench.small else grid
        found = {}
        cache = model.decoder.new_cache(max(rows for rows, _ in rows_of_grid))
        for tensor in (cache.cross_keys, cache.cross_values):
            tensor.normal_(0, 0.1)
        for rows, width in rows_of_grid:
            found[f"{rows}x{width}"] = _step_time(bench, model.decoder, cache, rows, width)
        bench.say(f"step, {name} (rows x tokens: ms)", **found)


def _step_time(
    bench: Bench, decoder: Decoder, cache: DecoderCache, rows: int, width: int
) -> dict[str, float]:
    tokens = torch.randint(0, 50_000, (rows, width), device=bench.device)
    positions = (torch.arange(width, device=bench.device) + 64).expand(rows, width).contiguous()
    part = cache.slots(0, rows)

    def step() -> Tensor:
        return decoder.step(tokens, positions, part, LENGTH)

    eager_ms = bench.wall_ms(step)
    graph_ms = bench.device_ms(bench.captured(step))
    read = step_bytes(decoder, rows)
    return {
        "eager": round(eager_ms, 2),
        "graph": round(graph_ms, 2),
        "GB/s": round(read / graph_ms / 1e6),
    }


def step_bytes(decoder: Decoder, rows: int) -> int:
    """What a step must read: weights once, each row's keys and values."""
    width, vocabulary = decoder.token_embedding.shape[1], len(decoder.token_embedding)
    inner = 4 * width
    layer = 6 * width * width + 2 * width * inner
    keys_and_values = rows * 2 * (decoder.n_audio_frames + LENGTH) * width
    n_numbers = len(decoder.layers) * (layer + keys_and_values) + vocabulary * width
    return n_numbers * decoder.backend.dtype.itemsize
