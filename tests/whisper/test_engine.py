"""Windows of several callers in one batch: each gets what it gets alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from paths import AUSTEN, KENNEDY, MODELS, PHONE_CALL

from speech_endpoint.audio.decoding import decode_audio
from speech_endpoint.config import InferenceConfig, ModelSettings
from speech_endpoint.transcript import Segment
from speech_endpoint.transcription.transcriber import Transcriber
from speech_endpoint.whisper.backends.base import Backend
from speech_endpoint.whisper.checkpoint import load_checkpoint
from speech_endpoint.whisper.engine import Engine
from speech_endpoint.whisper.model.decoder import Decoder
from speech_endpoint.whisper.sequence import DecodingStatistics, RequestGroup

N_SLOTS = 6


@dataclass
class Caller:
    """A recording and what is wanted of it."""

    waveform: np.ndarray
    config: InferenceConfig
    segments: list[Segment] = field(default_factory=list)
    statistics: DecodingStatistics = field(default_factory=DecodingStatistics)

    @property
    def tokens(self) -> list[tuple[int, ...]]:
        return [segment.tokens for segment in self.segments]


def transcribe_together(transcriber: Transcriber, *callers: Caller) -> None:
    """Decode the callers' recordings in one engine, all at once."""
    engine = Engine(transcriber.model, N_SLOTS, transcriber.draft, transcriber.draft_policy)
    recordings = [transcriber.open(caller.waveform, caller.config) for caller in callers]
    by_group: dict[RequestGroup, int] = {
        recording.group: n for n, recording in enumerate(recordings)
    }
    for recording in recordings:
        for request in recording.requests():
            engine.add(request)
    while engine.busy:
        for result in engine.step():
            for request in recordings[by_group[result.request.group]].on_result(result):
                engine.add(request)
    for caller, recording in zip(callers, recordings, strict=True):
        caller.segments, caller.statistics = recording.take_final(), recording.group.statistics


@pytest.fixture(scope="module")
def transcriber() -> Transcriber:
    settings = ModelSettings(
        asr_model=str(MODELS / "whisper-base"), dtype="float32", quantization="none", device="cpu"
    )
    return Transcriber(settings, ".")


def read(path: Path) -> np.ndarray:
    return decode_audio(path.read_bytes(), 16_000, 600)


@pytest.fixture(scope="module")
def german(data: Path) -> np.ndarray:
    return read(data / "formats" / "multilingual.mp3")[31 * 16_000 : 51 * 16_000]


def check_alone_and_together(
    transcriber: Transcriber, *wishes: tuple[np.ndarray, InferenceConfig]
) -> None:
    """Fail unless every caller gets, to the token, what it gets alone."""
    alone = [Caller(*wish) for wish in wishes]
    together = [Caller(*wish) for wish in wishes]
    for caller in alone:
        transcribe_together(transcriber, caller)
    transcribe_together(transcriber, *together)
    for one, other in zip(alone, together, strict=True):
        assert other.tokens == one.tokens and one.tokens
        for a, b in zip(one.segments, other.segments, strict=True):
            assert (a.text, a.language, a.start, a.end) == (b.text, b.language, b.start, b.end)
    # Each counts what it took itself, and the batch took less than one after the other.
    assert [c.statistics.tokens for c in together] == [c.statistics.tokens for c in alone]
    assert max(c.statistics.steps for c in together) < sum(c.statistics.steps for c in alone)


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
        (read(PHONE_CALL), InferenceConfig(chunk_length_s=8)),
    )


def test_one_callers_language_is_not_anothers_guess(
    transcriber: Transcriber, german: np.ndarray
) -> None:
    """Half a second is too little to be sure of a language: the caller's other windows decide."""
    short = german[: 16_000 // 2]
    alone, beside = Caller(short, InferenceConfig()), Caller(short, InferenceConfig())
    transcribe_together(transcriber, alone)
    others = Caller(read(PHONE_CALL), InferenceConfig(chunk_length_s=5))
    transcribe_together(transcriber, others, beside)
    assert [s.language for s in beside.segments] == [s.language for s in alone.segments]
    assert beside.tokens == alone.tokens


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
