"""Jobs of different wishes on one thread: each gets what it gets alone, and harms no other."""

from __future__ import annotations

import gc
import itertools
import weakref

import pytest
from jobs import WISHES, begin, cancel_one_of_two, new_scheduler, run, serve

from speech_endpoint.pipeline import SpeechPipeline
from speech_endpoint.service.events import Progress, Segments


def test_each_gets_alone_what_the_handler_answers(pipeline: SpeechPipeline, alone) -> None:
    for name in ("plain", "with speakers", "by channels"):
        assert serve(pipeline, name) == [alone[name]]


def test_all_at_once_get_what_each_gets_alone(pipeline: SpeechPipeline, alone) -> None:
    assert serve(pipeline, *WISHES) == list(alone.values())


PAIRS = list(itertools.combinations(WISHES, 2))
CHEAP_PAIRS = PAIRS[::10]


@pytest.mark.parametrize(
    "pair",
    [pytest.param(pair, marks=[] if pair in CHEAP_PAIRS else pytest.mark.slow) for pair in PAIRS],
    ids=" and ".join,
)
def test_in_company_each_gets_what_it_gets_alone(pipeline: SpeechPipeline, alone, pair) -> None:
    assert serve(pipeline, *pair) == [alone[name] for name in pair]


def test_short_jobs_that_come_together_begin_together(pipeline: SpeechPipeline, alone) -> None:
    scheduler = new_scheduler(pipeline)
    tellers = [begin(scheduler, WISHES[name]())[0] for name in ("plain", "prompted")]
    scheduler.turn()
    assert scheduler.engine.n_decoding == 2
    run(scheduler)
    assert [teller.answer for teller in tellers] == [alone["plain"], alone["prompted"]]


def test_segments_and_progress_come_before_the_answer(pipeline: SpeechPipeline) -> None:
    scheduler = new_scheduler(pipeline)
    teller, _ = begin(scheduler, WISHES["in short windows"]())
    run(scheduler)
    told = [s for event in teller.events if isinstance(event, Segments) for s in event.segments]
    assert "".join(segment.text for segment in told) == teller.answer["text"]
    done_s = [event.done_s for event in teller.events if isinstance(event, Progress)]
    assert done_s == sorted(done_s) and done_s[-1] == pytest.approx(11.0, abs=0.1)


@pytest.mark.parametrize("n_turns", [0, 1, 2, 8])
def test_a_job_that_is_cancelled_leaves_nothing(pipeline: SpeechPipeline, alone, n_turns) -> None:
    scheduler, gone, stays = cancel_one_of_two(pipeline, n_turns)
    scheduler.cancel(gone)
    rows = {r.group.caller for r in scheduler.engine._decoding.values()}
    assert gone.caller not in rows
    audio = weakref.ref(gone._audio.channels)
    del gone
    gc.collect()
    assert audio() is None
    run(scheduler)
    assert stays.answer == alone["prompted"]
