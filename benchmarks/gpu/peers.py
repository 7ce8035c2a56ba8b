"""transformers and faster-whisper on the same card, where they are installed."""

from __future__ import annotations

import importlib.util
from typing import Any

import torch

from benchmarks.gpu.decoding import TOKENS, WINDOWS_AN_HOUR, sizes_of
from benchmarks.gpu.measure import HOUR_S, Bench
from benchmarks.gpu.tokens import recordings
from speech_endpoint.transcript import SAMPLE_RATE_HZ

BATCH = 24
FASTER_WHISPER_BATCH = 16


def transformers(bench: Bench) -> None:
    """`generate` in random weights of the real shapes: a batch of windows, as many tokens each."""
    if importlib.util.find_spec("transformers") is None:
        bench.say("transformers", not_available="not installed")
        return
    from transformers import WhisperConfig, WhisperForConditionalGeneration, logging

    logging.set_verbosity_error()
    batch, n_tokens = (2, 4) if bench.small else (BATCH, TOKENS + 2)
    for name in ("large-v3", "turbo"):
        config: Any = WhisperConfig(**sizes_of(bench, name).model_dump())
        with torch.device(bench.device):
            model: Any = WhisperForConditionalGeneration(config)
        model = model.eval().to(bench.dtype)
        found = {}
        for n_windows in (batch, 1):
            shape = (n_windows, config.num_mel_bins, 3000)
            features = torch.randn(shape, device=bench.device, dtype=bench.dtype)

            def generate(model: Any = model, features: Any = features) -> None:
                start = torch.full((len(features), 1), 50_258, device=features.device)
                with torch.inference_mode():
                    model.generate(
                        features, decoder_input_ids=start, do_sample=False,
                        min_new_tokens=n_tokens, max_new_tokens=n_tokens,
                    )  # fmt: skip

            found[n_windows] = bench.wall_ms(generate, repeats=2, warm=1) / 1000
        speed = HOUR_S / (found[batch] / batch * WINDOWS_AN_HOUR)
        bench.say(f"transformers, {name}", batch=batch, tokens=n_tokens,
                  seconds_a_batch=round(found[batch], 2), RTFx=round(speed),
                  one_window_s=round(found[1], 3))  # fmt: skip
        del model


def faster_whisper(bench: Bench) -> None:
    """Its batched pipeline in float16, by the Hub's conversions of the real models."""
    if importlib.util.find_spec("faster_whisper") is None:
        bench.say("faster-whisper", not_available="not installed")
        return
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    is_gpu = bench.device.type == "cuda"
    names = ("tiny.en",) if bench.small else ("large-v3", "large-v3-turbo")
    for name in names:
        try:
            model = WhisperModel(
                name,
                device="cuda" if is_gpu else "cpu",
                compute_type="float16" if is_gpu else "int8",
                local_files_only=bench.small,
            )
        except Exception as error:
            bench.say(f"faster-whisper, {name}", not_available=repr(error)[:200])
            continue
        pipeline = BatchedInferencePipeline(model)
        options: dict[str, Any] = {"beam_size": 1, "batch_size": FASTER_WHISPER_BATCH}
        for recording, waveform in recordings().items():
            for _ in range(2):
                before_s = bench.elapsed_s
                segments, _ = pipeline.transcribe(waveform, **options)
                n_words = sum(len(segment.text.split()) for segment in segments)
                seconds = bench.elapsed_s - before_s
            speed = round(waveform.size / SAMPLE_RATE_HZ / seconds)
            bench.say(
                f"faster-whisper, {name}, {recording}",
                seconds=round(seconds, 2),
                RTFx=speed,
                words=n_words,
            )
