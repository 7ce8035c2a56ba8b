"""Speakers told apart on a thread of their own, as on a GPU, while words are written."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Generator

import pytest
import torch
from jobs import WISHES, cancel_one_of_two, run, said, serve

from speech_endpoint.diarization.diarizer import Diarizer
from speech_endpoint.pipeline import SpeechPipeline
from speech_endpoint.recognition import WITHOUT_SPEAKERS
from speech_endpoint.side_thread import SideThread


@pytest.fixture
def beside(pipeline: SpeechPipeline, alone, monkeypatch: pytest.MonkeyPatch) -> SpeechPipeline:
    """The pipeline, as if its device worked while the host goes on."""
    monkeypatch.setattr(pipeline.transcriber.model.backend, "is_asynchronous", True)
    monkeypatch.setattr(pipeline, "side_thread", SideThread(torch.device("cpu")))
    return pipeline


class Watched:
    """Notes on which threads a diarizer works."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.threads: set[str] = set()
        units = Diarizer.stream

        def stream(*arguments, **options) -> Generator[None, None, object]:
            self.threads.add(threading.current_thread().name)
            return (yield from units(*arguments, **options))

        monkeypatch.setattr(Diarizer, "stream", stream)


def test_the_handler_answers_the_same(
    beside: SpeechPipeline, alone, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(monkeypatch)
    assert said(beside.run(WISHES["with speakers"]())) == alone["with speakers"]
    assert watched.threads == {"beside"}


def test_all_at_once_get_what_each_gets_alone(beside: SpeechPipeline, alone) -> None:
    assert serve(beside, *WISHES) == list(alone.values())


def test_whose_speakers_fail_has_its_words(
    beside: SpeechPipeline, alone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_, **__) -> Generator[None, None, object]:
        yield
        raise RuntimeError("a network is ill")

    monkeypatch.setattr(Diarizer, "stream", fails)
    handler = said(beside.run(WISHES["with speakers"]()))
    (service,) = serve(beside, "with speakers")
    assert handler == service
    assert service["text"] == alone["with speakers"]["text"]
    assert WITHOUT_SPEAKERS in service["warnings"]


def test_a_stream_that_is_closed_gives_its_speakers_up(
    beside: SpeechPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = threading.Event()

    def endless(*_, **__) -> Generator[None, None, object]:
        try:
            while True:
                yield
        finally:
            closed.set()

    monkeypatch.setattr(Diarizer, "stream", endless)
    stream = beside.stream(WISHES["with speakers"]())
    next(stream)
    stream.close()
    assert closed.wait(10)


@pytest.mark.parametrize("n_turns", [1, 3])
def test_a_job_that_is_cancelled_leaves_nothing(
    beside: SpeechPipeline, alone, n_turns: int
) -> None:
    scheduler, gone, stays = cancel_one_of_two(beside, n_turns)
    audio = weakref.ref(gone._audio.channels)
    del gone
    run(scheduler)
    assert stays.answer == alone["prompted"]
    # Those that come after it take their turn when its unit has ended.
    assert serve(beside, "with speakers") == [alone["with speakers"]]
    gc.collect()
    assert audio() is None
