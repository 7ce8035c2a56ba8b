"""Whether a GPU writes what a CPU writes: real weights, real audio."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from benchmarks.gpu.decoding import (
    Decoded,
    always_draft,
    backend_of,
    compared,
    decode,
    issued_directly,
    noise,
    random_model,
    scripted,
)
from benchmarks.gpu.measure import Bench
from speech_endpoint.audio.vad import SileroVAD, pad_segments, speech_segments
from speech_endpoint.audio.windows import pack_windows
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Waveform
from speech_endpoint.whisper.backends.base import Backend
from speech_endpoint.whisper.batching.engine import Engine
from speech_endpoint.whisper.batching.speculation import DraftModel
from speech_endpoint.whisper.checkpoint import Checkpoint, load_checkpoint
from speech_endpoint.whisper.checkpoint.published import read_sizes, read_token_rules
from speech_endpoint.whisper.checkpoint.vocabulary import read_vocabulary
from speech_endpoint.whisper.model.whisper import WhisperModel

ROOT = Path(__file__).resolve().parent.parent.parent
PACKED = ROOT / ".gpu"
CPU = torch.device("cpu")
BATCHES = (1, 24)
DRAFT_TOKENS = 4


@cache
def tiny_checkpoint(n_decoder_layers: int = 4) -> Checkpoint:
    """whisper-tiny.en: packed, built by `make models`, or the Hub's; its first decoder layers."""
    packed, built = PACKED / "asr", ROOT / "models" / "whisper-tiny.en"
    if packed.is_dir():
        whole = _unpacked(packed)
    else:
        whole = load_checkpoint(str(built) if built.is_dir() else "openai/whisper-tiny.en")
    sizes = whole.config.model_copy(update={"decoder_layers": n_decoder_layers})
    return Checkpoint(whole.name, sizes, whole.token_rules, whole.vocabulary, whole.weights)


def _unpacked(directory: Path) -> Checkpoint:
    """Weights as int8 with a scale a row, widened alike on every device."""
    sizes = read_sizes(directory)
    packed = load_file(directory / "int8.safetensors")
    weights = {name: tensor for name, tensor in packed.items() if not name.endswith(".scale")}
    for name in weights:
        if (scale := packed.get(name + ".scale")) is not None:
            weights[name] = weights[name].float() * scale.view(-1, *[1] * (weights[name].ndim - 1))
    vocabulary = read_vocabulary(directory, sizes.vocab_size)
    return Checkpoint("tiny.en", sizes, read_token_rules(directory), vocabulary, weights)


@cache
def recordings() -> dict[str, Waveform]:
    """Packed ones; else the clips of the tests, and other recordings where they are."""
    packed = PACKED / "audio" / "audio.npz"
    if packed.is_file():
        with np.load(packed) as waveforms:
            return {name: waveforms[name].astype(np.float32) / 32_768 for name in waveforms.files}
    from benchmarks.gpu.recordings import read_recordings

    return read_recordings()


@cache
def real_windows(n_windows: int | None = None) -> list[Waveform]:
    """The speech of the recordings, packed to windows."""
    vad = SileroVAD()
    windows: list[Waveform] = []
    for waveform in recordings().values():
        duration_s = waveform.size / SAMPLE_RATE_HZ
        probabilities = vad(waveform)
        segments = pad_segments(speech_segments(probabilities, duration_s), duration_s)
        packed = pack_windows(segments, probabilities, 30.0)
        windows += [np.concatenate(window.slices(waveform)) for window in packed]
    return windows[:n_windows]


def _windows(bench: Bench) -> list[Waveform]:
    return real_windows(2) if bench.small else real_windows()


def tokens(bench: Bench) -> None:
    """CUDA in float32 against a CPU: all must be equal, or everything else is another model."""
    windows = _windows(bench)
    on_cpu = WhisperModel.from_checkpoint(tiny_checkpoint(), Backend(CPU, torch.float32))
    expected = decode(bench, on_cpu, windows, 8)
    n_tokens = sum(len(result.tokens) for result in expected.results)
    bench.say("tokens: CPU, float32", windows=len(windows), tokens=n_tokens,
              seconds=round(expected.seconds, 1))  # fmt: skip
    dtypes = (torch.float32,) if bench.small else (torch.float32, torch.float16, torch.bfloat16)
    for dtype in dtypes:
        name = f"tokens: {str(dtype).removeprefix('torch.')}"
        model = WhisperModel.from_checkpoint(tiny_checkpoint(), backend_of(bench, dtype))
        decode(bench, model, windows[:2], 2)
        found = decode(bench, model, windows, 8)
        bench.say(f"{name} against CPU float32", **compared(expected.results, found.results),
                  ms_a_step=found.facts(bench)["ms_a_step"])  # fmt: skip
        for batch in BATCHES:
            other = decode(bench, model, windows, batch)
            bench.say(f"{name}, batch {batch} against 8", **compared(found.results, other.results))
        again = decode(bench, model, windows, 8)
        bench.say(f"{name}, a second time", **compared(found.results, again.results))
        if dtype != torch.bfloat16:
            _drafted(bench, name, model, windows, found)


def _drafted(
    bench: Bench, name: str, model: WhisperModel, windows: list[Waveform], plain: Decoded
) -> None:
    for n_layers in (4, 2):
        draft = DraftModel(tiny_checkpoint(n_layers), tiny_checkpoint(), model)
        found = decode(bench, model, windows, 8, draft, always_draft(DRAFT_TOKENS))
        bench.say(
            f"{name}, drafted by {n_layers} layers against undrafted",
            **compared(plain.results, found.results),
            tokens_a_row_step=found.facts(bench)["tokens_a_row_step"],
            shares_encoder=draft.shares_encoder,
        )


def captured_against_direct(bench: Bench) -> None:
    """Token for token: real words of tiny.en, the script by a large shape; what recording costs.

    On a CPU both are issued directly.
    """
    model = WhisperModel.from_checkpoint(tiny_checkpoint(), backend_of(bench))
    _against_direct(bench, "tiny.en", model, _windows(bench))
    large, _ = random_model(bench, "large-v3")
    model = scripted(large, 24, max_tokens=20 if bench.small else 40, deviation=0)
    _against_direct(bench, "large-v3", model, noise(2 if bench.small else 48))


def _against_direct(bench: Bench, of: str, model: WhisperModel, windows: list[Waveform]) -> None:
    for batch in (1, 4, 24):
        some = windows[: 3 * batch]
        with issued_directly(model):
            decode(bench, model, windows[:2], batch)
            direct = decode(bench, model, some, batch)
        engine = Engine(model, batch)
        first = decode(bench, model, some, batch, engine=engine)
        again = decode(bench, model, some, batch, engine=engine)
        ms = {name: found.facts(bench)["ms_a_step"]
              for name, found in (("direct", direct), ("captured", again))}  # fmt: skip
        bench.say(
            f"captured against direct, {of}, batch {batch}",
            **compared(direct.results, first.results),
            again=compared(direct.results, again.results)["same"],
            ms_a_step=ms,
            recording_s=round(first.seconds - again.seconds, 2),
        )


def write_packed(weights: dict[str, Tensor], directory: Path) -> None:
    """What `tiny_checkpoint` reads: int8 with a scale a row, half of float16's bytes."""
    from safetensors.torch import save_file

    packed: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if weight.ndim < 2:
            packed[name] = weight.half()
            continue
        scale = weight.float().flatten(1).abs().amax(dim=1).clamp(min=1e-8) / 127
        rows = (weight.float().flatten(1) / scale[:, None]).round().clamp(-127, 127)
        packed[name] = rows.to(torch.int8).view(weight.shape).contiguous()
        packed[name + ".scale"] = scale
    directory.mkdir(parents=True, exist_ok=True)
    save_file(packed, directory / "int8.safetensors")
    (directory / "packed.json").write_text(json.dumps({"format": "int8, a scale a row"}))
