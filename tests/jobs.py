"""Jobs of different wishes for the service's scheduler, and who hears what becomes of them."""

from __future__ import annotations

import io
import queue
import wave
from collections.abc import Callable
from typing import Any

import numpy as np
from paths import AUSTEN, KENNEDY, PHONE_CALL

from speech_endpoint.audio.decoding.decode import decode_audio
from speech_endpoint.pipeline import SpeechPipeline
from speech_endpoint.reception import Request
from speech_endpoint.service.backlog import Backlog, ServiceLimits
from speech_endpoint.service.events import Done, Event, Failed
from speech_endpoint.service.scheduler import Scheduler
from speech_endpoint.service.work import Work
from speech_endpoint.transcript import Transcript

N_SLOTS = 4


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


class SchedulerWithInbox(Scheduler):
    """What other threads have for it waits here."""

    def __init__(self, pipeline: SpeechPipeline) -> None:
        self.inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        super().__init__(pipeline, N_SLOTS, Backlog(ServiceLimits()), self.inbox.put)


def new_scheduler(pipeline: SpeechPipeline) -> SchedulerWithInbox:
    return SchedulerWithInbox(pipeline)


def cancel_one_of_two(
    pipeline: SpeechPipeline, n_turns: int
) -> tuple[SchedulerWithInbox, Work, Teller]:
    """A scheduler of two jobs, the one that was cancelled after some turns, the other's teller."""
    scheduler = new_scheduler(pipeline)
    _, gone = begin(scheduler, WISHES["with speakers"]())
    stays, _ = begin(scheduler, WISHES["prompted"]())
    for _ in range(n_turns):
        scheduler.turn()
    scheduler.cancel(gone)
    return scheduler, gone, stays


def run(scheduler: SchedulerWithInbox) -> None:
    """Until all jobs are over."""
    while scheduler._works:
        while not (scheduler.busy and scheduler.inbox.empty()):
            scheduler.inbox.get()()
        scheduler.turn()


def serve(pipeline: SpeechPipeline, *names: str) -> list[dict[str, Any]]:
    scheduler = new_scheduler(pipeline)
    tellers = [begin(scheduler, WISHES[name]())[0] for name in names]
    run(scheduler)
    assert scheduler.backlog.queued_s == 0
    return [teller.answer for teller in tellers]
