"""Windows of several callers in one batch: each gets what it gets alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from paths import AUSTEN, KENNEDY, MODELS, PHONE_CALL

from speech_endpoint.audio.decoding.decode import decode_audio
from speech_endpoint.config import InferenceConfig, ModelSettings
from speech_endpoint.transcript import Segment
from speech_endpoint.transcription.transcriber import Transcriber
from speech_endpoint.units import finish
from speech_endpoint.whisper.backends import choose_backend
from speech_endpoint.whisper.backends.base import Backend
from speech_endpoint.whisper.batching.draft_length import DraftPolicy
from speech_endpoint.whisper.batching.engine import Engine
from speech_endpoint.whisper.batching.sequence import (
    DecodeOptions,
    DecodeRequest,
    DecodeResult,
    DecodingStatistics,
    RequestGroup,
)
from speech_endpoint.whisper.checkpoint import load_checkpoint
from speech_endpoint.whisper.language_id import MIN_CONFIDENCE
from speech_endpoint.whisper.model.decoder import Decoder
from speech_endpoint.whisper.model.whisper import WhisperModel

N_SLOTS = 6
# Whether drafting pays is not asked of the clock.
ALWAYS_DRAFT = DraftPolicy(max_probe_cost=1.0, fixed_length=4)


@dataclass
class Caller:
    """A recording and what is wanted of it."""

    waveform: np.ndarray
    config: InferenceConfig
    segments: list[Segment] = field(default_factory=list)
    group: RequestGroup = field(default_factory=RequestGroup)

    @property
    def statistics(self) -> DecodingStatistics:
        return self.group.statistics

    @property
    def tokens(self) -> list[tuple[int, ...]]:
        return [segment.tokens for segment in self.segments]


def transcribe_together(transcriber: Transcriber, *callers: Caller) -> int:
    """Decode the callers' recordings in one engine, all at once; the steps that it took."""
    engine = Engine(transcriber.model, N_SLOTS, transcriber.draft, transcriber.draft_policy)
    recordings = [finish(transcriber.open(caller.waveform, caller.config)) for caller in callers]
    by_group: dict[RequestGroup, int] = {
        recording.group: n for n, recording in enumerate(recordings)
    }
    for recording in recordings:
        for request in recording.requests():
            engine.add(request)
    n_steps = 0
    while engine.busy:
        n_steps += 1
        for result in engine.step():
            for request in recordings[by_group[result.request.group]].on_result(result):
                engine.add(request)
    for caller, recording in zip(callers, recordings, strict=True):
        caller.segments, caller.group = recording.take_final(), recording.group
    return n_steps


@pytest.fixture(scope="module")
def transcriber() -> Transcriber:
    settings = ModelSettings(
        asr_model=str(MODELS / "whisper-base"),
        assistant_model=str(MODELS / "whisper-tiny.en"),
        dtype="float32",
        quantization="none",
        device="cpu",
    )
    return Transcriber(settings, ".", ALWAYS_DRAFT)


def read(path: Path) -> np.ndarray:
    return decode_audio(path.read_bytes(), 16_000, 600)


@pytest.fixture(scope="module")
def german(data: Path) -> np.ndarray:
    return read(data / "formats" / "multilingual.mp3")[31 * 16_000 : 51 * 16_000]


def check_alone_and_together(
    transcriber: Transcriber, *wishes: tuple[np.ndarray, InferenceConfig]
) -> list[Caller]:
    """Fail unless every caller gets, to the token, what it gets alone; those decoded together."""
    alone = [Caller(*wish) for wish in wishes]
    together = [Caller(*wish) for wish in wishes]
    n_steps_alone = sum(transcribe_together(transcriber, caller) for caller in alone)
    n_steps = transcribe_together(transcriber, *together)
    for one, other in zip(alone, together, strict=True):
        assert other.tokens == one.tokens and one.tokens
        for a, b in zip(one.segments, other.segments, strict=True):
            assert (a.text, a.language, a.start, a.end) == (b.text, b.language, b.start, b.end)
    # Each counts what it took itself, and the batch took less than one after the other.
    assert [c.statistics.tokens for c in together] == [c.statistics.tokens for c in alone]
    assert n_steps < n_steps_alone
    return together


def test_callers_of_different_language_prompt_and_windows_do_not_disturb_each_other(
    transcriber: Transcriber,
) -> None:
    check_alone_and_together(
        transcriber,
        (read(PHONE_CALL), InferenceConfig(prompt="Dyane, Sheyla, Texas", chunk_length_s=8)),
        (read(KENNEDY), InferenceConfig(language="de", chunk_length_s=10)),
        (read(AUSTEN), InferenceConfig()),
    )


def test_callers_of_different_task_do_not_disturb_each_other(
    transcriber: Transcriber, german: np.ndarray
) -> None:
    check_alone_and_together(
        transcriber,
        (german, InferenceConfig(prompt="Die Software")),
        (german, InferenceConfig(task="translate")),
        (read(KENNEDY), InferenceConfig(chunk_length_s=8)),
    )


def test_a_caller_at_a_temperature_gets_the_same_text_beside_others(
    transcriber: Transcriber,
) -> None:
    plain, drawn, _ = check_alone_and_together(
        transcriber,
        (read(KENNEDY), InferenceConfig()),
        (read(KENNEDY), InferenceConfig(temperature=1.0, assisted=True)),
        (read(AUSTEN)[: 2 * 16_000], InferenceConfig(assisted=True)),
    )
    assert {segment.scores.temperature for segment in drawn.segments if segment.scores} == {1.0}
    assert drawn.tokens != plain.tokens
    assert drawn.statistics.proposed == 0


def test_an_assisted_caller_and_an_unassisted_one_do_not_disturb_each_other(
    transcriber: Transcriber,
) -> None:
    assisted, plain = check_alone_and_together(
        transcriber,
        (read(PHONE_CALL)[: 12 * 16_000], InferenceConfig(chunk_length_s=6, assisted=True)),
        (read(KENNEDY), InferenceConfig()),
    )
    assert assisted.statistics.accepted > 0
    assert plain.statistics.proposed == 0
    assert assisted.statistics.row_steps < assisted.statistics.tokens
    assert plain.statistics.row_steps == plain.statistics.tokens


def test_one_callers_language_is_not_anothers_guess(
    transcriber: Transcriber, german: np.ndarray
) -> None:
    """Half a second is too little to be sure of a language: the caller's own windows decide, not
    the English that is decoded beside them."""
    short = german[: 16_000 // 2]
    alone, beside = Caller(short, InferenceConfig()), Caller(short, InferenceConfig())
    transcribe_together(transcriber, alone)
    weights = alone.group.language_prior.weights
    assert 0.5 < weights["de"] / sum(weights.values()) < MIN_CONFIDENCE
    others = Caller(read(KENNEDY), InferenceConfig(chunk_length_s=5))
    transcribe_together(transcriber, others, beside)
    assert {segment.language for segment in others.segments} == {"en"}
    assert {segment.language for segment in beside.segments} == {"de"}
    assert beside.tokens == alone.tokens


def results_in_order(engine: Engine) -> list[DecodeResult]:
    """What an engine hands out, as it does."""
    found: list[DecodeResult] = []
    while engine.busy:
        for result in engine.step():
            assert isinstance(result, DecodeResult)
            found.append(result)
    return found


def decode_in_two_languages(
    transcriber: Transcriber, n_slots: int, *, assisted: bool
) -> tuple[list[DecodeResult], list[DecodingStatistics]]:
    """English speech that is asked for in English and in Tamil."""
    engine = Engine(transcriber.model, n_slots, transcriber.draft, ALWAYS_DRAFT)
    groups = [
        RequestGroup(DecodeOptions(language=language, assisted=assisted))
        # English first: a draft that is right there goes on. The other is alone at last, and all
        # that there is to draft for has then been begun anew.
        for language in ("en", "ta")
    ]
    speech = read(AUSTEN)[: 2 * 16_000]
    for n, group in enumerate(groups):
        engine.add(DecodeRequest(group, n, 0.0, (speech,)))
    results = sorted(results_in_order(engine), key=lambda result: result.request.index)
    return results, [group.statistics for group in groups]


def test_a_window_that_is_decoded_again_comes_out_the_same_each_time(
    transcriber: Transcriber,
) -> None:
    """At a temperature tokens are drawn at random: from a seed, whatever is decoded beside."""
    alone, statistics = decode_in_two_languages(transcriber, 1, assisted=False)
    drafted, drafted_statistics = decode_in_two_languages(transcriber, 2, assisted=True)
    fallbacks = [one.fallbacks for one in statistics]
    assert fallbacks[0] == 0 < fallbacks[1]
    assert alone[0].temperature == 0 < alone[1].temperature
    assert [result.tokens for result in drafted] == [result.tokens for result in alone]
    assert [result.temperature for result in drafted] == [result.temperature for result in alone]
    assert [one.fallbacks for one in drafted_statistics] == fallbacks
    assert all(one.proposed > 0 for one in drafted_statistics)


@pytest.fixture(scope="module")
def small_model() -> WhisperModel:
    checkpoint = load_checkpoint(str(MODELS / "whisper-tiny.en"))
    return WhisperModel.from_checkpoint(checkpoint, choose_backend("cpu", "float32", "none"))


def seconds_of_speech(group: RequestGroup, n_windows: int) -> list[DecodeRequest]:
    """Windows of a second each, one after the other."""
    waveform = read(KENNEDY)
    return [
        DecodeRequest(
            group, n, float(n), (waveform[n * 16_000 : (n + 1) * 16_000],), fallback=False
        )
        for n in range(n_windows)
    ]


def test_callers_take_turns(small_model: WhisperModel) -> None:
    """Nobody waits for all the windows of whoever came first."""
    engine = Engine(small_model, n_slots=2)
    groups, n_windows = [RequestGroup(), RequestGroup()], 6
    for group in groups:
        for request in seconds_of_speech(group, n_windows):
            engine.add(request)
    order = [groups.index(result.request.group) for result in results_in_order(engine)]
    assert sorted(order) == [0] * n_windows + [1] * n_windows
    for group, other in ((0, 1), (1, 0)):
        last = max(place for place, n in enumerate(order) if n == group)
        assert order[:last].count(other) >= n_windows // 2


def test_a_callers_earliest_windows_come_first(small_model: WhisperModel) -> None:
    engine = Engine(small_model, n_slots=1)
    requests = seconds_of_speech(RequestGroup(), 5)
    for request in reversed(requests):
        engine.add(request)
    assert [result.request.start_s for result in results_in_order(engine)] == [0, 1, 2, 3, 4]


def test_segments_keep_the_figures_of_their_window(
    transcriber: Transcriber,
) -> None:
    caller = Caller(read(PHONE_CALL), InferenceConfig())
    transcribe_together(transcriber, caller)
    for segment in caller.segments:
        assert segment.scores is not None
        assert segment.scores.temperature in (0.0, 0.4, 0.8)
        assert -1.0 < segment.scores.mean_log_probability < 0
        assert 0 <= segment.scores.no_speech_probability < 0.6
        assert 0.3 < segment.scores.compression_ratio < 2.4
        assert transcriber.model.tokenizer.decode(segment.tokens) == segment.text


def test_a_step_reads_no_value_from_a_tensor() -> None:
    """Tensors without values: whatever reads one raises. A GPU need not be waited for."""
    checkpoint = load_checkpoint(str(MODELS / "whisper-tiny.en"))
    decoder = Decoder(checkpoint, Backend(torch.device("meta"), torch.float16))
    cache = decoder.new_cache(n_slots=3)
    tokens = torch.zeros(3, 2, dtype=torch.long, device="meta")
    logits = decoder.step(tokens, tokens.clone(), cache, cache.attention_length(2))
    assert logits.shape == (3, 2, checkpoint.config.vocab_size)
