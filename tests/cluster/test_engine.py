"""A replica's batch: each window by itself."""

from __future__ import annotations

import numpy as np
import pytest
from paths import AUSTEN, KENNEDY, MODELS

from speech_endpoint.audio.decoding.decode import decode_audio
from speech_endpoint.cluster.engine import WindowEngine
from speech_endpoint.cluster.windows import SentWindow, WindowAnswer
from speech_endpoint.config import ModelSettings
from speech_endpoint.transcription.transcriber import Transcriber
from speech_endpoint.whisper.batching.sequence import DecodeOptions

PATIENCE_S = 60


@pytest.fixture(scope="module")
def transcriber() -> Transcriber:
    return Transcriber(ModelSettings(asr_model=str(MODELS / "whisper-tiny.en")), ".")


@pytest.fixture(scope="module")
def engine(transcriber: Transcriber) -> WindowEngine:
    return WindowEngine(transcriber, n_slots=2)


def sent(file, caller: str) -> SentWindow:
    samples = decode_audio(file.read_bytes(), 16_000, 60.0).reshape(-1)
    return window(samples, caller)


def window(samples, caller: str) -> SentWindow:
    return SentWindow(samples, DecodeOptions(), caller, True, 0.0, fallback=True, prior={})


def text_of(answer: WindowAnswer) -> str:
    assert answer.text is not None
    return "".join(word.text for words in answer.text.words for word in words)


def test_who_gives_up_changes_nobody_elses_text(engine, transcriber) -> None:
    files = (AUSTEN, KENNEDY, AUSTEN, KENNEDY)
    windows = [sent(file, caller) for file, caller in zip(files, "abca", strict=True)]
    tickets = [engine.submit(each) for each in windows]
    engine.cancel(tickets[0])
    engine.cancel(tickets[3])
    results = [ticket.result.result(PATIENCE_S) for ticket in tickets[1:3]]
    kennedy, austen = (
        text_of(WindowAnswer.of(result, window, transcriber.tokenizer))
        for result, window in zip(results, windows[1:3], strict=True)
    )
    assert "ask what you can do for your country" in kennedy
    assert "country" not in austen and len(austen) > 40


def test_a_window_that_cannot_be_decoded_fails_alone(engine) -> None:
    good = sent(KENNEDY, "a")
    broken = engine.submit(window(np.zeros((2, 2), np.float32), "b"))
    with pytest.raises(Exception, match=r"."):
        broken.result.result(PATIENCE_S)
    assert engine.submit(good).result.result(PATIENCE_S).tokens
    assert engine.failure is None


def test_a_window_that_is_given_up_costs_its_caller_no_other(engine) -> None:
    given_up, kept = (engine.submit(sent(KENNEDY, "a")) for _ in range(2))
    given_up.taken.result(PATIENCE_S)
    kept.taken.result(PATIENCE_S)
    engine.cancel(given_up)
    assert kept.result.result(PATIENCE_S).tokens
