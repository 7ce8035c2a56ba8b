"""Units that fail: whose request fails with them, and when the engine is given up."""

from __future__ import annotations

from typing import Any

import pytest
from jobs import WISHES, begin, new_scheduler, run, serve

from speech_endpoint.pipeline import SpeechPipeline
from speech_endpoint.service.scheduler import MAX_FAILED_STEPS, EngineBroken
from speech_endpoint.whisper.batching.prefill import Prefill


class Boom(RuntimeError):
    pass


def test_a_diarizer_that_fails_costs_its_own_request_the_speakers(
    pipeline: SpeechPipeline, alone, monkeypatch
) -> None:
    def fail(*_: object, **__: object):
        raise Boom
        yield

    monkeypatch.setattr(pipeline.diarizer, "stream", fail)
    with_speakers, plain = serve(pipeline, "with speakers", "plain")
    assert with_speakers["text"] == alone["with speakers"]["text"]
    assert with_speakers["turns"] == [] and "diarization failed" in with_speakers["warnings"][0]
    assert plain == alone["plain"]


def test_a_unit_that_fails_fails_its_request_only(
    pipeline: SpeechPipeline, alone, monkeypatch
) -> None:
    scheduler = new_scheduler(pipeline)
    broken, work = begin(scheduler, WISHES["plain"]())
    fine, _ = begin(scheduler, WISHES["prompted"]())
    monkeypatch.setattr(work, "on_results", lambda _: (_ for _ in ()).throw(Boom()))
    run(scheduler)
    assert isinstance(broken.error, Boom)
    assert fine.answer == alone["prompted"]


def test_a_step_that_fails_fails_those_who_were_in_it_and_the_next_works(
    pipeline: SpeechPipeline, alone, monkeypatch
) -> None:
    scheduler = new_scheduler(pipeline)
    broken, _ = begin(scheduler, WISHES["plain"]())
    step = type(scheduler.engine)._step

    def fail_once(engine: object) -> None:
        monkeypatch.undo()
        step(engine)
        raise Boom

    monkeypatch.setattr(type(scheduler.engine), "_step", fail_once)
    run(scheduler)
    assert isinstance(broken.error, Boom)
    after, _ = begin(scheduler, WISHES["prompted"]())
    run(scheduler)
    assert after.answer == alone["prompted"]


def poisoned(monkeypatch) -> None:
    """Windows with such a prompt cannot be begun."""
    read = Prefill._read_prompts

    def fail(prefill: Prefill, requests: Any, slot: int) -> Any:
        if any(request.group.options.prompt_tokens for request in requests):
            raise Boom
        return read(prefill, requests, slot)

    monkeypatch.setattr(Prefill, "_read_prompts", fail)


def test_a_window_that_cannot_be_begun_fails_its_request_only(
    pipeline: SpeechPipeline, alone, monkeypatch
) -> None:
    """Not those whose windows are decoded, or are begun beside it."""
    scheduler = new_scheduler(pipeline)
    fine = [begin(scheduler, WISHES["plain"]())[0]]
    for _ in range(3):
        scheduler.turn()
    poisoned(monkeypatch)
    broken = [begin(scheduler, WISHES["prompted"]())[0] for _ in range(2)]
    fine += [begin(scheduler, WISHES["plain"]())[0] for _ in range(2)]
    run(scheduler)
    assert [teller.answer for teller in fine] == [alone["plain"]] * 3
    assert [type(teller.error) for teller in broken] == [Boom] * 2


def test_requests_that_nothing_can_serve_do_not_end_the_engine(
    pipeline: SpeechPipeline, alone, monkeypatch
) -> None:
    scheduler = new_scheduler(pipeline)
    poisoned(monkeypatch)
    for _ in range(2 * MAX_FAILED_STEPS):
        broken, _ = begin(scheduler, WISHES["prompted"]())
        run(scheduler)
        assert isinstance(broken.error, Boom)
    fine, _ = begin(scheduler, WISHES["plain"]())
    run(scheduler)
    assert fine.answer == alone["plain"]


def test_an_engine_that_fails_step_after_step_is_given_up(
    pipeline: SpeechPipeline, monkeypatch
) -> None:
    scheduler = new_scheduler(pipeline)

    def fail(engine: object) -> None:
        raise Boom

    monkeypatch.setattr(type(scheduler.engine), "_step", fail)
    begin(scheduler, WISHES["in short windows"]())
    with pytest.raises(EngineBroken):
        run(scheduler)
