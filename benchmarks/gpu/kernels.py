"""Kernels to choose between, and what is done before the first step."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmarks.gpu.decoding import backend_of, noise, random_model
from benchmarks.gpu.measure import HOUR_S, Bench
from speech_endpoint.audio.vad import SileroVAD
from speech_endpoint.transcript import SAMPLE_RATE_HZ

N_HEADS, HEAD_WIDTH, N_FRAMES, N_LAYERS = 20, 64, 1500, 32
# The layers of a step: (in, out). A vocabulary of 51,866 has no aligned rows, one of 51,904 has.
LINEARS = {
    "qkv": (1280, 3840), "out": (1280, 1280), "fc1": (1280, 5120), "fc2": (5120, 1280),
    "vocabulary": (1280, 51_866), "vocabulary, padded": (1280, 51_904),
}  # fmt: skip
ROWS = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 120, 128)
TIMED_ROWS = (1, 16, 24, 120, 128)
Attention = Callable[[int], Tensor]
"""By the index of a layer."""


@torch.inference_mode()
def cross_attention(bench: Bench) -> None:
    """Milliseconds of 32 layers, as a graph; GB/s of keys and values; the error."""
    shapes = ((2, 1),) if bench.small else ((24, 1), (24, 5), (1, 1), (1, 5), (48, 1))
    for rows, width in shapes:
        _ways_to_attend(bench, rows, width)
        if bench.device.type == "cuda":
            torch.cuda.empty_cache()


def _ways_to_attend(bench: Bench, rows: int, width: int) -> None:
    n_layers = 1 if bench.small else N_LAYERS if rows * N_LAYERS <= 800 else 8
    new: Any = {"device": bench.device, "dtype": bench.dtype}
    query = torch.randn(rows, N_HEADS, width, HEAD_WIDTH, **new) * 0.3
    shape = (n_layers, rows, N_HEADS, N_FRAMES, HEAD_WIDTH)
    keys, values = torch.randn(shape, **new), torch.randn(shape, **new)
    exact = F.scaled_dot_product_attention(
        query.float(), keys[0].float(), values[0].float(), scale=1.0
    )
    found: dict[str, Any] = {}
    for name, (attend, n_bytes) in _ways(bench, query, keys, values).items():
        try:
            error = float((attend(0).float() - exact).norm() / exact.norm())
            graph = bench.captured(partial(_all_layers, attend, n_layers))
            ms = bench.device_ms(graph) * N_LAYERS / n_layers
        except Exception as problem:
            found[name] = repr(problem)[:120]
            continue
        read = N_LAYERS * rows * N_HEADS * N_FRAMES * HEAD_WIDTH * 2 * n_bytes
        speed = round(read / ms / 1e6)
        found[name] = {"ms": round(ms, 3), "GB/s": speed, "error": float(f"{error:.1e}")}
    bench.say(f"cross-attention of {N_LAYERS} layers, {rows} rows x {width}", **found)


def _all_layers(attend: Attention, n_layers: int) -> None:
    for n in range(n_layers):
        attend(n)


def _ways(
    bench: Bench, query: Tensor, keys: Tensor, values: Tensor
) -> dict[str, tuple[Attention, int]]:
    """By name, and the bytes of a number that each reads."""
    backend = backend_of(bench)

    def straight(n: int) -> Tensor:
        q, k, v = query.flatten(0, 1), keys[n].flatten(0, 1), values[n].flatten(0, 1)
        weights = torch.softmax(torch.bmm(q, k.transpose(1, 2)), dim=-1)
        return torch.bmm(weights, v).view(query.shape)

    def fused(kind: SDPBackend, n: int) -> Tensor:
        with sdpa_kernel([kind]):
            return F.scaled_dot_product_attention(query, keys[n], values[n], scale=1.0)

    size = bench.dtype.itemsize
    ways: dict[str, tuple[Attention, int]] = {
        "efficient": (partial(fused, SDPBackend.EFFICIENT_ATTENTION), size),
        "products, values straight": (straight, size),
        "flash": (partial(fused, SDPBackend.FLASH_ATTENTION), size),
        "cudnn": (partial(fused, SDPBackend.CUDNN_ATTENTION), size),
    }  # fmt: skip
    if bench.device.type != "cuda":
        return ways
    own = {"the backend's": (lambda n: backend.cross_attention(query, keys[n], values[n]), size)}
    return ways | own | _own_ways(query, keys, values)


def _own_ways(query: Tensor, keys: Tensor, values: Tensor) -> dict[str, tuple[Attention, int]]:
    """Kernels of Triton's, where there is one."""
    try:
        from benchmarks.gpu import split_k
    except ImportError:
        return {}
    small = [split_k.quantized(k, v) for k, v in zip(keys, values, strict=True)]
    return {
        "triton": (lambda n: split_k.split_k(query, keys[n], values[n]), 2),
        "triton, int8": (lambda n: split_k.split_k_int8(query, *small[n]), 1),
    }


@torch.inference_mode()
def row_invariance(bench: Bench) -> None:
    """Does a row's result depend on how many rows it is computed with? And what do 128 cost?"""
    new: Any = {"device": bench.device, "dtype": bench.dtype}
    for name, (n_in, n_out) in [*LINEARS.items()][: 2 if bench.small else None]:
        x = torch.randn(128, n_in, **new)
        # So many that no cache holds them.
        n_weights = 1 if bench.small else max(1, int(2e8 / n_in / n_out / 2))
        weights = [torch.randn(n_out, n_in, **new) * 0.02 for _ in range(n_weights)]
        full, differ, times = F.linear(x, weights[0]), [], {}
        for rows in ROWS:
            part = x[:rows].contiguous()
            if not torch.equal(F.linear(part, weights[0]), full[:rows]):
                differ.append(rows)
            if rows in TIMED_ROWS:
                graph = bench.captured(partial(_all_products, part, weights))
                times[rows] = round(1000 * bench.device_ms(graph) / n_weights, 1)
        moved = F.linear(x.roll(5, 0), weights[0]).roll(-5, 0)
        bench.say(f"linear {name}", rows_that_differ_from_128=differ,
                  same_in_any_place=torch.equal(moved, full), us=times)  # fmt: skip


def _all_products(x: Tensor, weights: list[Tensor]) -> None:
    for weight in weights:
        F.linear(x, weight)


@torch.inference_mode()
def encoder(bench: Bench) -> None:
    """Milliseconds a window at 1 to 16; attention's kernels; log-mel; keys and values."""
    model, _ = random_model(bench, "turbo")
    layers, width = len(model.encoder.layers), model.encoder.position_embedding.shape[1]
    operations = 2 * layers * N_FRAMES * (12 * width * width + 2 * N_FRAMES * width)
    found: dict[str, Any] = {}
    for n_windows in (1, 2) if bench.small else (1, 2, 4, 8, 16):
        model.backend.encoder_batch_size = n_windows
        log_mel = torch.randn(n_windows, 128, 3000, device=bench.device)
        ms = bench.device_ms(partial(model.encoder, log_mel), repeats=5, warm=2) / n_windows
        found[str(n_windows)] = {"ms": round(ms, 2), "TFLOPS": round(operations / ms / 1e9, 2)}
    heads = (1, 2) if bench.small else (4, N_HEADS)
    x = torch.randn(*heads, N_FRAMES, HEAD_WIDTH, device=bench.device, dtype=bench.dtype)
    kinds = (SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION,
             SDPBackend.EFFICIENT_ATTENTION)  # fmt: skip
    attention = {kind.name: _attention_ms(bench, kind, x) for kind in kinds}
    four = noise(4)
    cache = model.decoder.new_cache(4)
    features = torch.randn(4, N_FRAMES, width, device=bench.device, dtype=bench.dtype)
    bench.say("encoder", **found, attention_ms=attention,
              log_mel_4_ms=round(bench.wall_ms(lambda: model.log_mel(four)), 2),
              attach_audio_4_ms=round(
                  bench.wall_ms(lambda: model.decoder.attach_audio(cache, 0, features)), 2),
              )  # fmt: skip


def _attention_ms(bench: Bench, kind: SDPBackend, x: Tensor) -> float | str:
    try:
        with sdpa_kernel([kind]):
            attend = partial(F.scaled_dot_product_attention, x, x, x, scale=1.0)
            return round(bench.device_ms(attend), 3)
    except RuntimeError as error:
        return repr(error)[:80]


def voice_activity(bench: Bench) -> None:
    """An hour's waveform to the device, and where there is speech in it, there and on the CPU."""
    seconds = 30 if bench.small else HOUR_S
    waveform = np.tile(noise(1, 30)[0], int(seconds / 30))
    backend = backend_of(bench)
    found = {"copy_ms": round(bench.wall_ms(lambda: backend.hold(waveform), 5, 2), 1)}
    held = backend.hold(waveform)
    on_device, on_cpu = SileroVAD(bench.device), SileroVAD()
    found["device_ms"] = round(bench.wall_ms(lambda: on_device(held), 5, 2), 1)
    found["cpu_ms"] = round(bench.wall_ms(lambda: on_cpu(waveform), 1, 1), 1)
    gap = float(np.abs(on_device(held) - on_cpu(waveform)).max())
    bench.say(f"voice activity, {waveform.size / SAMPLE_RATE_HZ:.0f} s", **found, gap=gap,
              peak_gib=bench.peak_gib())  # fmt: skip
