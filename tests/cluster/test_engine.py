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
from speech_endpoint.whisper.batching.sequence import DecodeOptions, DecodeRequest

PATIENCE_S = 60


@pytest.fixture(scope="module")
def transcriber() -> Transcriber:
    return Transcriber(ModelSettings(asr_model=str(MODELS / "whisper-tiny.en")), ".")


@pytest.fixture(scope="module")
def engine(transcriber: Transcriber) -> WindowEngine:
    return WindowEngine(transcriber, n_slots=2)


def sent(file) -> SentWindow:
    samples = decode_audio(file.read_bytes(), 16_000, 60.0).reshape(-1)
    return SentWindow(samples, DecodeOptions(), is_short=True, fallback=True, prior={})


def text_of(answer: WindowAnswer) -> str:
    assert answer.text is not None
    return "".join(word.text for words in answer.text.words for word in words)


def test_who_gives_up_changes_nobody_elses_text(engine, transcriber) -> None:
    windows = [sent(file) for file in (AUSTEN, KENNEDY, AUSTEN, KENNEDY)]
    tickets = [engine.submit(window.request()) for window in windows]
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
    good = sent(KENNEDY)
    bad = DecodeRequest(good.request().group, 0, 0.0, (np.zeros((2, 2), np.float32),))
    broken = engine.submit(bad)
    with pytest.raises(Exception, match=r"."):
        broken.result.result(PATIENCE_S)
    assert engine.submit(good.request()).result.result(PATIENCE_S).tokens
    assert engine.failure is None
