"""Milliseconds of a window in the encoder, part by part, and of a decoding step.

Medians, of noise, which takes as long as speech; `gelu`, heads and residuals are in the encoder's
row alone. Shapes other than the model's own have random weights: their speed, not their text.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from benchmarks import run
from benchmarks.systems import ASR_MODEL, PRECISIONS
from speech_endpoint.whisper.backends import choose_backend
from speech_endpoint.whisper.backends.base import Backend
from speech_endpoint.whisper.checkpoint import Checkpoint, load_checkpoint
from speech_endpoint.whisper.checkpoint.published import Sizes
from speech_endpoint.whisper.model.cache import DecoderCache
from speech_endpoint.whisper.model.decoder import Decoder
from speech_endpoint.whisper.model.encoder import Encoder
from speech_endpoint.whisper.model.features import WINDOW_SAMPLES, LogMel

OWN = "whisper-base"
LARGE = {
    "vocab_size": 51866, "d_model": 1280, "encoder_layers": 32, "encoder_attention_heads": 20,
    "decoder_attention_heads": 20, "encoder_ffn_dim": 5120, "decoder_ffn_dim": 5120,
    "num_mel_bins": 128,
}  # fmt: skip
SHAPES = {
    OWN: {},
    "large-v3-turbo": LARGE | {"decoder_layers": 4},
    "large-v3": LARGE | {"decoder_layers": 32},
}
LAYER_PARTS = {
    "norms": ("attention_norm", "mlp_norm"),
    "queries, keys, values": ("qkv",),
    "attention's output": ("attention_out",),
    "feed-forward": ("fc1", "fc2"),
}
# Tokens that a window's text has in the middle of its decoding.
TEXT_TOKENS = 60


class RandomWeights(Mapping[str, Tensor]):
    """A Whisper's weights of any size, each made when it is asked for."""

    def __init__(self, sizes: Sizes, model: Mapping[str, Tensor]) -> None:
        """
        Args:
            sizes: of the network.
            model: another network, of which each weight is like one.
        """
        self.model = model
        mlp = model["model.encoder.layers.0.fc1.weight"]
        self.size_for = {
            mlp.shape[1]: sizes.d_model,
            mlp.shape[0]: sizes.encoder_ffn_dim,
            model["model.encoder.conv1.weight"].shape[1]: sizes.num_mel_bins,
            model["model.decoder.embed_tokens.weight"].shape[0]: sizes.vocab_size,
        }

    def __getitem__(self, name: str) -> Tensor:
        like = self.model[_in_first_layer(name)]
        shape = [self.size_for.get(size, size) for size in like.shape]
        made = torch.randn(shape, dtype=torch.bfloat16)
        return made / shape[1] ** 0.5 if len(shape) > 1 else made

    def __iter__(self) -> Iterator[str]:
        return iter(self.model)

    def __len__(self) -> int:
        return len(self.model)

    def __contains__(self, name: object) -> bool:
        return _in_first_layer(str(name)) in self.model


def _in_first_layer(name: str) -> str:
    """A weight's name, of any layer, in the first."""
    before, found, after = name.partition(".layers.")
    return f"{before}.layers.0.{after.partition('.')[2]}" if found else name


class Stopwatch:
    """How long calls take, by name."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.seconds: dict[str, float] = defaultdict(float)

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, timed."""

        def timed(*args: Any) -> Any:
            started = time.perf_counter()
            result = function(*args)
            self.backend.synchronize()
            self.seconds[name] += time.perf_counter() - started
            return result

        return timed

    def lap(self) -> dict[str, float]:
        """What was timed since the last lap."""
        lap, self.seconds = dict(self.seconds), defaultdict(float)
        return lap


def measure(function: Callable[[], Any], rounds: int) -> list[Any]:
    """What `function` returns, in each of so many rounds after the first."""
    function()
    return [function() for _ in range(rounds)]


def encoder_parts(
    encoder: Encoder, decoder: Decoder, log_mel: LogMel, rounds: int
) -> dict[str, float]:
    """Median seconds of a window by part; parts add up to their whole but for what is between."""
    watch = Stopwatch(encoder.backend)
    for layer in encoder.layers:
        for part, names in LAYER_PARTS.items():
            for name in names:
                setattr(layer, name, watch.around(part, getattr(layer, name)))
        layer.backend = _AttentionTimed(layer.backend, watch)  # type: ignore[assignment]
    for name in ("conv1", "conv2"):
        setattr(encoder, name, watch.around("convolutions", getattr(encoder, name)))
    noise = torch.randn(WINDOW_SAMPLES).numpy()
    spectrogram = watch.around("log-mel features", log_mel)
    encode = watch.around("encoder", encoder)
    attach = watch.around("cross-attention's keys and values", decoder.attach_audio)
    cache = decoder.new_cache(1)

    def window() -> dict[str, float]:
        attach(cache, 0, encode(spectrogram([noise])))
        return watch.lap()

    laps = measure(window, rounds)
    return {part: statistics.median(lap[part] for lap in laps) for part in laps[0]}


class _AttentionTimed:
    """A backend whose attention is timed."""

    def __init__(self, backend: Backend, watch: Stopwatch) -> None:
        self.backend = backend
        self.attention = watch.around("attention", backend.attention)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)


def step_seconds(decoder: Decoder, cache: DecoderCache, n_rows: int, rounds: int) -> float:
    """Median seconds of the networks' part of a step of so many windows."""
    tokens = torch.full((n_rows, 1), 1, device=decoder.backend.device)
    positions = torch.full_like(tokens, TEXT_TOKENS)

    def step() -> float:
        started = time.perf_counter()
        decoder.step(tokens, positions, cache, cache.attention_length(TEXT_TOKENS + 1))
        decoder.backend.synchronize()
        return time.perf_counter() - started

    return statistics.median(measure(step, rounds))


def parse() -> argparse.Namespace:
    made = argparse.ArgumentParser("python -m benchmarks.kernels", description=__doc__)
    add = made.add_argument
    add("--shapes", nargs="+", choices=SHAPES, default=[OWN], help="networks")
    add("--precision", nargs="+", choices=PRECISIONS, default=["auto"], help="number formats")
    add("--rows", nargs="+", type=int, metavar="N", default=[1, 6, 20], help="windows a step")
    add("--threads", type=int, default=2, help="of PyTorch")
    add("--rounds", type=int, default=15, help="of which the median is taken")
    add("--device", default="cpu", help="as the setting DEVICE")
    return made.parse_args()


def checkpoint_of(shape: str) -> Checkpoint:
    """The model itself, or random weights of a shape."""
    own = load_checkpoint(str(ASR_MODEL))
    if shape == OWN:
        return own
    sizes = own.config.model_copy(update=SHAPES[shape])
    return replace(own, name=shape, config=sizes, weights=RandomWeights(sizes, own.weights))


@torch.inference_mode()
def table(shape: str, options: argparse.Namespace) -> str:
    """A row for each part, a column for each precision."""
    columns = {}
    for precision in options.precision:
        formats = PRECISIONS[precision]
        backend = choose_backend(options.device, formats["dtype"], formats["quantization"])
        checkpoint = checkpoint_of(shape)
        encoder, decoder = Encoder(checkpoint, backend), Decoder(checkpoint, backend)
        log_mel = LogMel(checkpoint.config.num_mel_bins, backend.device)
        torch.set_num_threads(options.threads)
        seconds = encoder_parts(encoder, decoder, log_mel, options.rounds)
        cache = decoder.new_cache(max(options.rows))
        for rows in options.rows:
            name = f"a step of {rows}"
            seconds[name] = step_seconds(decoder, cache, rows, options.rounds)
        columns[f"{precision} ({backend.number_formats})"] = seconds
    parts = list(next(iter(columns.values())))
    rows = [[part, *(f"{1e3 * each[part]:.1f}" for each in columns.values())] for part in parts]
    return run.markdown_table(["ms", *columns], rows)


def main() -> None:
    options = parse()
    print(run.describe_machine(options.threads))
    for shape in options.shapes:
        simulated = "" if shape == OWN else ", random weights"
        print(f"\n## {shape}{simulated}\n\n{table(shape, options)}", flush=True)
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"\nLargest resident set so far, loading included: {peak_mib:.0f} MiB.", flush=True)


if __name__ == "__main__":
    main()
