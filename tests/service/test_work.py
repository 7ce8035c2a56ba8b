"""Jobs that want less than a transcript, or more."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from jobs import WISHES, begin, new_scheduler, run

from speech_endpoint.audio.peaks import PEAKS_PER_SECOND
from speech_endpoint.pipeline import SpeechPipeline


def test_who_wants_speakers_only_gets_those_of_the_transcript_without_a_step(
    pipeline: SpeechPipeline, alone
) -> None:
    scheduler = new_scheduler(pipeline)
    request = WISHES["with speakers"]()
    teller, _ = begin(scheduler, replace(request, wants="speakers"))
    run(scheduler)
    transcript = teller.events[-1].transcript
    expected = pipeline.run(request).speaker_turns
    assert [(t.start, t.end) for t in transcript.speaker_turns] == [
        (t.start, t.end) for t in expected
    ]
    assert transcript.text == "" and scheduler.engine.totals.steps == 0


def test_who_wants_speakers_only_makes_words_seem_no_slower(
    pipeline: SpeechPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By how fast words come, others are told how long they would wait, and refused."""
    scheduler = new_scheduler(pipeline)
    measured_s: list[float] = []
    monkeypatch.setattr(scheduler.backlog, "measure", lambda _, work_s: measured_s.append(work_s))
    _, work = begin(scheduler, replace(WISHES["with speakers"](), wants="speakers"))
    started = time.perf_counter()
    run(scheduler)
    assert sum(measured_s) + work.diarization_s <= time.perf_counter() - started


def test_who_wants_the_language_only_gets_it_for_one_window(pipeline: SpeechPipeline) -> None:
    scheduler = new_scheduler(pipeline)
    teller, _ = begin(scheduler, replace(WISHES["in short windows"](), wants="language"))
    run(scheduler)
    transcript = teller.events[-1].transcript
    assert (transcript.language, transcript.text) == ("en", "")
    assert transcript.stats["language_probability"] > 0.5
    assert scheduler.engine.n_windows == 1


def test_an_outline_is_drawn_for_who_asks(pipeline: SpeechPipeline) -> None:
    scheduler = new_scheduler(pipeline)
    plain, _ = begin(scheduler, WISHES["plain"]())
    outlined, _ = begin(scheduler, replace(WISHES["plain"](), outline=True))
    run(scheduler)
    assert plain.events[-1].transcript.peaks == b""
    assert len(outlined.events[-1].transcript.peaks) == 2 * 11 * PEAKS_PER_SECOND
