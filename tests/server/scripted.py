"""Transcripts and events that tests have a service say."""

from __future__ import annotations

from speech_endpoint.service.events import Done, Event, Progress, Segments
from speech_endpoint.transcript import DecodingScores, Segment, SpeakerTurn, Transcript, Turn, Word

SCORES = DecodingScores(0.0, -0.2, 1.3, 0.01)
SECRET = "Xylophone"
"""A word of the transcript: nothing but answers may hold it."""


def segment(text: str, start: float, speaker: str | None = None) -> Segment:
    words = [
        Word(" " + part, start + n, start + n + 0.5, 0.9, speaker, (n + 1,))
        for n, part in enumerate(text.split())
    ]
    return Segment(tuple(words), "en", SCORES)


FIRST, SECOND = segment(f"{SECRET} one", 0.0), segment("two three.", 2.0)
SPOKEN = (segment(f"{SECRET} one", 0.0, "SPEAKER_00"), segment("two three.", 2.0, "SPEAKER_01"))
TRANSCRIPT = Transcript(
    segments=SPOKEN,
    turns=tuple(Turn(each.speaker or "", each.words) for each in SPOKEN),
    speaker_turns=(SpeakerTurn("SPEAKER_00", 0.0, 1.5), SpeakerTurn("SPEAKER_01", 2.0, 3.5)),
    language="en",
    duration_s=4.0,
    timings_s={"decode": 0.1, "asr": 0.2, "diarization": 0.1, "total": 0.4},
    stats={"steps": 4, "tokens": 4, "fallbacks": 0},
)
TEXT = f"{SECRET} one two three."
EVENTS: list[Event] = [
    Progress(0.0, None, 1.5),
    Segments((FIRST,)),
    Progress(2.0, 4.0, 0.0),
    Segments((SECOND,)),
    Done(TRANSCRIPT),
]
