"""An hour of audio, a single window, drafts, memory: what a caller would see."""

from __future__ import annotations

import statistics
import zlib

import torch

from benchmarks.gpu.decoding import (
    WINDOWS_AN_HOUR,
    Decoded,
    always_draft,
    compared,
    decode,
    issued_directly,
    noise,
    random_model,
    scripted,
)
from benchmarks.gpu.measure import HOUR_S, Bench
from benchmarks.gpu.tokens import recordings
from speech_endpoint.errors import ModelUnavailable, OutOfMemory
from speech_endpoint.transcript import SAMPLE_RATE_HZ
from speech_endpoint.whisper.batching.draft_length import DEFAULT_DRAFT_POLICY
from speech_endpoint.whisper.batching.engine import Engine
from speech_endpoint.whisper.batching.speculation import DraftModel
from speech_endpoint.whisper.model.whisper import WhisperModel

BATCHES = {"large-v3": (24, 48), "turbo": (24, 96)}
DRAFTS = (
    (0.8, "4 tokens", always_draft(4)),
    (0.8, "as many as pay", DEFAULT_DRAFT_POLICY),
    (0.0, "as many as pay", DEFAULT_DRAFT_POLICY),
)
SMALL_CARD_GIB = 21.5
REAL_MODELS = {
    "openai/whisper-large-v3": "distil-whisper/distil-large-v3",
    "openai/whisper-large-v3-turbo": None,
}


def _run(bench: Bench, model: WhisperModel, n_windows: int, n_slots: int) -> Decoded:
    """Windows of the script, in an engine that has had some before."""
    return _used(bench, Engine(scripted(model, n_slots, _most(bench)), n_slots), n_windows)


def _used(bench: Bench, engine: Engine, n_windows: int) -> Decoded:
    for n in (min(n_windows, 2 * engine.max_slots), n_windows):
        found = decode(bench, engine.model, noise(n), engine.max_slots, engine.draft, engine=engine)
    return found


def _most(bench: Bench) -> int:
    """Tokens of a window."""
    return 12 if bench.small else 160


def one_hour(bench: Bench) -> None:
    """The windows of an hour with word times, in random weights of the real shapes; one window."""
    for name, batches in BATCHES.items():
        model, _ = random_model(bench, name)
        _run(bench, model, 4, 4)
        n_windows = 3 if bench.small else WINDOWS_AN_HOUR
        for batch in batches[:1] if bench.small else batches:
            _hour(bench, f"{name}, batch {batch}", model, n_windows, batch)


def one_hour_issued_directly(bench: Bench) -> None:
    """The same, steps issued one by one."""
    for name in BATCHES:
        model, _ = random_model(bench, name)
        n_windows = 3 if bench.small else WINDOWS_AN_HOUR
        with issued_directly(model):
            _hour(bench, f"{name}, batch 24, issued directly", model, n_windows, 24)


def _hour(bench: Bench, title: str, model: WhisperModel, n_windows: int, batch: int) -> None:
    found = _run(bench, model, n_windows, batch)
    speed = round(HOUR_S * n_windows / WINDOWS_AN_HOUR / found.seconds)
    bench.say(f"one hour, {title}", **found.facts(bench), RTFx=speed)
    clips = [_run(bench, model, 1, 1) for _ in range(3)]
    seconds = statistics.median(clip.seconds for clip in clips)
    bench.say(f"one window, {title}", seconds=round(seconds, 3), steps=clips[0].statistics.steps)


def acceptance(bench: Bench) -> None:
    """Drafts by distil's shape, right at a rate: how much faster; at 0 %, what drafting costs."""
    model, checkpoint = random_model(bench, "large-v3")
    _, small = random_model(bench, "distil")
    for batch, n_windows in [(4, 4)] if bench.small else [(24, 48), (1, 2)]:
        target = scripted(model, batch, _most(bench), deviation=0)
        plain = _used(bench, Engine(target, batch), n_windows)
        bench.say(f"no drafts, batch {batch}", **plain.facts(bench))
        for rate, name, policy in DRAFTS:
            draft = DraftModel(small, checkpoint, model)
            draft.model = scripted(draft.model, batch, _most(bench), right=rate, deviation=0)
            found = _used(bench, Engine(target, batch, draft, policy), n_windows)
            bench.say(
                f"drafts, {rate:.0%} right, batch {batch}, {name}",
                **found.facts(bench),
                faster=round(plain.seconds / found.seconds, 2),
                same=compared(plain.results, found.results)["same"],
            )


def memory(bench: Bench) -> None:
    """Peaks by batch size; whether a card of 24 GB would do; what happens when it would not."""
    for name, batches in {"large-v3": (24, 48, 96), "turbo": (24, 96)}.items():
        model, _ = random_model(bench, name)
        peaks = {f"batch {n}: GiB": _run(bench, model, n, n).facts(bench)["peak_gib"]
                 for n in batches}  # fmt: skip
        bench.say(f"memory, {name}", **peaks)
        del model
        torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(bench.device).total_memory
    torch.cuda.set_per_process_memory_fraction(SMALL_CARD_GIB * 2**30 / total)
    try:
        model, _ = random_model(bench, "large-v3")
        for batch in (24, 48, 64):
            try:
                facts = _run(bench, model, batch, batch).facts(bench)
                bench.say(f"on {SMALL_CARD_GIB} GiB, large-v3, batch {batch}", **facts)
            except OutOfMemory as error:
                bench.say(f"on {SMALL_CARD_GIB} GiB, large-v3, batch {batch}", failed=str(error))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def real_models(bench: Bench) -> None:
    """The published models where the Hub answers: speed and acceptance on real speech."""
    from speech_endpoint.config import InferenceConfig, ModelSettings
    from speech_endpoint.transcription.transcriber import Transcriber

    for name, assistant in REAL_MODELS.items():
        try:
            settings = ModelSettings(
                asr_model=name, assistant_model=assistant, device=str(bench.device)
            )
            transcriber = Transcriber(settings, ".")
        except ModelUnavailable as error:
            bench.say(f"real {name}", not_available=str(error)[:200])
            continue
        for assisted in (False, True) if assistant else (False,):
            config = InferenceConfig(assisted=assisted)
            for recording, waveform in recordings().items():
                transcriber(waveform, config)
                bench.wait()
                before_s = bench.elapsed_s
                answer = transcriber(waveform, config)
                seconds = bench.elapsed_s - before_s
                stats = answer.statistics
                bench.say(
                    f"real {name}, {recording}{', drafted' if assisted else ''}",
                    seconds=round(seconds, 2),
                    RTFx=round(waveform.size / SAMPLE_RATE_HZ / seconds),
                    acceptance=round(stats.accepted / max(1, stats.proposed), 2),
                    text_crc=zlib.crc32("".join(s.text for s in answer.segments).encode()),
                    peak_gib=bench.peak_gib(),
                )
