"""Jobs of different wishes on one thread: each gets what it gets alone, and harms no other."""

from __future__ import annotations

import gc
import io
import itertools
import wave
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from paths import AUSTEN, KENNEDY, PHONE_CALL, REPOSITORY

from speech_endpoint.audio.decoding.decode import decode_audio
from speech_endpoint.config import ModelSettings
from speech_endpoint.pipeline import Request, SpeechPipeline
from speech_endpoint.service.backlog import Backlog, ServiceLimits
from speech_endpoint.service.events import Done, Event, Failed, Progress, Segments
from speech_endpoint.service.scheduler import EngineBroken, Scheduler
from speech_endpoint.service.work import Work
from speech_endpoint.transcript import Transcript

N_SLOTS = 4


@pytest.fixture(scope="module")
def pipeline(environment: None) -> SpeechPipeline:
    return SpeechPipeline(ModelSettings(dtype="float32"), str(REPOSITORY))


class Teller:
    """Stands where a handle stands, and keeps what it is told."""

    def __init__(self, request: Request) -> None:
        self.request, self.request_id, self.events = request, "id", list[Event]()

    def emit(self, event: Event) -> None:
        self.events.append(event)

    @property
    def answer(self) -> dict[str, Any]:
        assert isinstance(self.events[-1], Done), self.events[-1]
        return said(self.events[-1].transcript)

    @property
    def error(self) -> BaseException:
        assert isinstance(self.events[-1], Failed), self.events[-1]
        return self.events[-1].error


def said(transcript: Transcript) -> dict[str, Any]:
    """Who said what: in company, sums of another order may move a time by a rounding."""
    return {
        "text": transcript.text,
        "words": [(word.text, word.speaker, round(word.start, 1)) for word in transcript.words],
        "turns": [(turn.speaker, turn.text) for turn in transcript.turns],
        "language": transcript.language,
        "warnings": transcript.warnings,
    }


def cut(payload: bytes, duration_s: float) -> bytes:
    return encoded(decode_audio(payload, 16_000, 600)[: round(duration_s * 16_000)])


def encoded(*channels: np.ndarray) -> bytes:
    length = min(map(len, channels))
    samples = (np.stack([c[:length] for c in channels], axis=1) * 32767).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(len(channels))
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes(samples.tobytes())
    return file.getvalue()


def two_channels() -> bytes:
    return encoded(
        *(decode_audio(path.read_bytes(), 16_000, 600)[:80_000] for path in (AUSTEN, KENNEDY))
    )


WISHES: dict[str, Callable[[], Request]] = {
    "plain": lambda: wish(KENNEDY.read_bytes(), diarize=False),
    "prompted": lambda: wish(AUSTEN.read_bytes(), diarize=False, prompt="Mrs. Dashwood"),
    "in German": lambda: wish(cut(KENNEDY.read_bytes(), 5), diarize=False, language="de"),
    "translated": lambda: wish(AUSTEN.read_bytes(), diarize=False, task="translate"),
    "with speakers": lambda: wish(cut(PHONE_CALL.read_bytes(), 15), num_speakers=2),
    "by channels": lambda: wish(two_channels(), channels="speakers"),
    "drafted": lambda: wish(AUSTEN.read_bytes(), diarize=False, assisted=True),
    "in short windows": lambda: wish(KENNEDY.read_bytes(), diarize=False, chunk_length_s=4),
}


def wish(payload: bytes, **parameters: Any) -> Request:
    return Request.from_host({"inputs": payload, "parameters": parameters})


def begin(scheduler: Scheduler, request: Request) -> tuple[Teller, Work]:
    teller = Teller(request)
    audio = scheduler.pipeline.decode(request)
    work = Work(teller, audio, scheduler.pipeline, decode_s=0.0)  # type: ignore[arg-type]
    scheduler.backlog.add(teller, 0)
    scheduler.add(work)
    return teller, work


def new_scheduler(pipeline: SpeechPipeline) -> Scheduler:
    return Scheduler(pipeline, N_SLOTS, Backlog(ServiceLimits()))


def run(scheduler: Scheduler) -> None:
    while scheduler.busy:
        scheduler.turn()


def serve(pipeline: SpeechPipeline, *names: str) -> list[dict[str, Any]]:
    scheduler = new_scheduler(pipeline)
    tellers = [begin(scheduler, WISHES[name]())[0] for name in names]
    run(scheduler)
    assert scheduler.backlog.queued_s == 0
    return [teller.answer for teller in tellers]


@pytest.fixture(scope="module")
def alone(pipeline: SpeechPipeline) -> dict[str, dict[str, Any]]:
    """What the handler answers."""
    answers = {name: said(pipeline.run(make())) for name, make in WISHES.items()}
    assert all(answer["text"] for answer in answers.values())
    return answers


def test_each_gets_alone_what_the_handler_answers(pipeline: SpeechPipeline, alone) -> None:
    for name in ("plain", "with speakers", "by channels"):
        assert serve(pipeline, name) == [alone[name]]


def test_all_at_once_get_what_each_gets_alone(pipeline: SpeechPipeline, alone) -> None:
    assert serve(pipeline, *WISHES) == list(alone.values())


@pytest.mark.parametrize("pair", list(itertools.pairwise([*WISHES]))[::3], ids=" and ".join)
def test_in_company_each_gets_what_it_gets_alone(pipeline: SpeechPipeline, alone, pair) -> None:
    assert serve(pipeline, *pair) == [alone[name] for name in pair]


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
    scheduler = new_scheduler(pipeline)
    _, gone = begin(scheduler, WISHES["with speakers"]())
    stays, _ = begin(scheduler, WISHES["prompted"]())
    for _ in range(n_turns):
        scheduler.turn()
    scheduler.cancel(gone)
    scheduler.cancel(gone)
    rows = {r.group.caller for r in scheduler.engine._decoding.values()}
    assert gone.caller not in rows
    audio = weakref.ref(gone._audio.channels)
    del gone
    gc.collect()
    assert audio() is None
    run(scheduler)
    assert stays.answer == alone["prompted"]


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
