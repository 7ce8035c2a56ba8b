"""A request as a stream: segments leave as soon as they are final."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from paths import PHONE_CALL

from speech_endpoint.audio.decoding.decode import decode_audio
from speech_endpoint.config import InferenceConfig
from speech_endpoint.errors import InvalidRequest
from speech_endpoint.pipeline import SpeechPipeline
from speech_endpoint.reception import Request
from speech_endpoint.transcript import Segment, Transcript


@pytest.fixture(scope="module")
def pipeline(handler) -> SpeechPipeline:
    return handler.pipeline


def streamed(
    pipeline: SpeechPipeline, request: Request
) -> tuple[list[tuple[float, Segment]], Transcript, float]:
    """Segments with the times at which they left, the transcript, and the time of the whole."""
    started = time.perf_counter()
    stream, segments = pipeline.stream(request), []
    while True:
        try:
            segment = next(stream)
        except StopIteration as end:
            return segments, end.value, time.perf_counter() - started
        segments.append((time.perf_counter() - started, segment))


def test_segments_leave_in_time_order_and_are_the_whole(pipeline: SpeechPipeline, wav) -> None:
    call = decode_audio(PHONE_CALL.read_bytes(), 16_000, 60)
    audio = wav(np.tile(call, 3))
    config = InferenceConfig(diarize=False, chunk_length_s=10.0, batch_size=2)
    segments, transcript, _ = streamed(pipeline, Request(audio, config))
    starts = [segment.start for _, segment in segments]
    assert starts == sorted(starts)
    assert tuple(segment for _, segment in segments) == transcript.segments
    assert "".join(segment.text for _, segment in segments) == transcript.text
    assert pipeline.run(Request(audio, config)).text == transcript.text
    # In several portions, not all when everything was done.
    assert len({round(left_s, 2) for left_s, _ in segments}) > 3


def test_a_long_recording_begins_to_leave_early(pipeline: SpeechPipeline, data: Path) -> None:
    audio = (data / "conversations" / "four_speakers_text.flac").read_bytes()
    config = InferenceConfig(diarize=False)
    segments, transcript, whole_s = streamed(pipeline, Request(audio, config))
    assert "".join(segment.text for _, segment in segments) == transcript.text
    assert segments[0][0] < whole_s / 2


def test_with_speakers_the_text_streams_and_the_transcript_names_them(
    pipeline: SpeechPipeline,
) -> None:
    audio = PHONE_CALL.read_bytes()
    segments, transcript, _ = streamed(pipeline, Request(audio, InferenceConfig()))
    assert "".join(segment.text for _, segment in segments) == transcript.text
    assert {segment.speaker for _, segment in segments} == {None}
    assert {turn.speaker for turn in transcript.turns} == {"SPEAKER_00", "SPEAKER_01"}
    assert {turn.speaker for turn in transcript.speaker_turns} == {"SPEAKER_00", "SPEAKER_01"}


def test_what_a_caller_did_wrong_names_the_field_and_the_kind() -> None:
    with pytest.raises(InvalidRequest) as missing:
        Request.from_host({"parameters": {}})
    assert (missing.value.field, missing.value.code) == ("inputs", "missing")
    with pytest.raises(InvalidRequest) as wrong:
        Request.from_host({"inputs": b"x", "parameters": {"batch_size": 0}})
    assert wrong.value.field == "parameters.batch_size"
    assert str(wrong.value).startswith("parameters.batch_size: ")


def test_parameters_beside_the_object_of_parameters_are_named() -> None:
    request = Request.from_host({"inputs": b"x", "language": "de", "parameters": {"colour": 1}})
    assert request.warnings == (
        "parameters: unknown parameter 'colour' was ignored",
        "request: unknown key 'language' was ignored",
    )
