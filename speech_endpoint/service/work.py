"""A job on the engine's thread: what is left of it to do."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from speech_endpoint.audio.decoding.sandbox import DecodedAudio
from speech_endpoint.audio.peaks import peaks
from speech_endpoint.pipeline import to_transcript
from speech_endpoint.reception import Reception
from speech_endpoint.service.events import Done, Failed, Progress, Segments
from speech_endpoint.service.handle import Handle
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Segment
from speech_endpoint.transcription.recording import RecordingDecoder
from speech_endpoint.transcription.transcriber import Transcription
from speech_endpoint.units import Units
from speech_endpoint.whisper.batching.sequence import (
    Caller,
    DecodeRequest,
    DecodeResult,
    MultilingualWindow,
)

Result = TypeVar("Result")

SHORT_S = 30.0
"""Of audio: who sends no more is served first."""


@dataclass
class OpenRecording:
    """One of a job's recordings, cut to windows."""

    decoder: RecordingDecoder
    vad_s: float
    segments: list[Segment] = field(default_factory=list)


class Work:
    """One job's audio on its way to a transcript, in units that others' may come between."""

    def __init__(
        self, handle: Handle, audio: DecodedAudio, pipeline: Reception, decode_s: float
    ) -> None:
        """
        Args:
            handle: the job.
            audio: its audio.
            pipeline: the models.
            decode_s: what decoding its audio took.
        """
        self.handle, self.pipeline = handle, pipeline
        self.audio_warnings = audio.warnings
        self.duration_s = audio.channels.shape[-1] / SAMPLE_RATE_HZ
        self.peaks = peaks(audio.channels.mean(axis=0)) if handle.request.outline else b""
        self.total_s = self.duration_s * len(audio.channels)
        """Of all its recordings."""
        config = handle.request.config
        self.caller = Caller(is_short=self.total_s <= SHORT_S, max_slots=config.batch_size)
        self.recordings: list[OpenRecording] = []
        self.is_written = False
        """Whether all words are."""
        self.is_diarized = False
        self.diarization_s = 0.0
        self._started = time.perf_counter() - decode_s
        self._decode_s, self._asr_s = decode_s, 0.0
        self._audio = audio
        self._reached_s = 0.0

    def open(self) -> Units[list[DecodeRequest]]:
        """Find speech; all windows that are to be decoded at first."""
        request, config = self.handle.request, self.handle.request.config
        self.recognition = self.pipeline.recognition(self._audio, request)
        yield from self.recognition.enrol()
        requests: list[DecodeRequest] = []
        is_anything_said = False
        for waveform in self.recognition.waveforms:
            units = self.pipeline.transcriber.open(waveform, config, self.caller)
            recording = OpenRecording(*(yield from _timed(units)))
            self.recordings.append(recording)
            is_anything_said |= bool(recording.decoder.records)
            requests += self._first_requests(recording.decoder)
        self._see_what_is_left()
        self.is_diarized = not is_anything_said or request.wants == "language"
        return requests

    def _first_requests(self, decoder: RecordingDecoder) -> list[DecodeRequest]:
        request = self.handle.request
        if request.wants == "language":
            return decoder.language_requests()
        # Whose channels are its speakers needs words to tell when they speak.
        if request.wants == "speakers" and request.config.channels != "speakers":
            decoder.skip()
            return []
        return decoder.requests()

    def diarize(self) -> Units[None]:
        """Find out who speaks when; may be done on any thread."""
        _, self.diarization_s = yield from _timed(self.recognition.diarize())
        self.is_diarized = True

    def on_results(
        self, results: Iterable[DecodeResult | MultilingualWindow]
    ) -> list[DecodeRequest]:
        """Take in decoded windows and tell the caller what is final; windows to decode besides."""
        requests: list[DecodeRequest] = []
        for result in results:
            (recording,) = (r for r in self.recordings if r.decoder.owns(result.request))
            if self.handle.request.wants == "language":
                recording.decoder.on_language(result)
            else:
                requests += recording.decoder.on_result(result)
        for recording in self.recordings:
            if final := recording.decoder.take_final():
                recording.segments += final
                self._tell(final)
        self._see_what_is_left()
        return requests

    @property
    def is_being_written(self) -> bool:
        """Whether windows of it wait or are decoded."""
        return bool(self.recordings) and not self.is_written

    @property
    def left_s(self) -> float:
        """Seconds of its recordings that are not final yet."""
        reached = (min(r.decoder.frontier_s, self.duration_s) for r in self.recordings)
        return self.total_s - sum(reached)

    def conclude(self) -> None:
        """Give the caller the whole answer."""
        transcriptions = [Transcription.of(r.decoder, r.segments, r.vad_s) for r in self.recordings]
        started = time.perf_counter()
        recognised = self.recognition.conclude(transcriptions)
        now = time.perf_counter()
        self.diarization_s += now - started
        laps_s = {
            "decode": self._decode_s,
            "asr": self._asr_s,
            "diarization": self.diarization_s,
        }
        warnings = [*self.handle.request.warnings, *self.audio_warnings]
        transcript = to_transcript(recognised, warnings, laps_s, now - self._started)
        stats = {**transcript.stats, **self._language_stats(transcript.language)}
        transcript = replace(transcript, peaks=self.peaks, stats=stats)
        if not self.recognition.is_final_early:
            self.handle.emit(Segments(transcript.segments))
        self.handle.emit(Done(transcript))

    def _language_stats(self, language: str | None) -> dict[str, float]:
        if self.handle.request.wants != "language" or language is None:
            return {}
        share = self.recordings[0].decoder.group.language_prior.share(language)
        return {"language_probability": share}

    def fail(self, error: BaseException) -> None:
        """Tell the caller that there will be no answer."""
        self.handle.emit(Failed(error))

    def _tell(self, final: Sequence[Segment]) -> None:
        if self.recognition.is_final_early:
            self.handle.emit(Segments(tuple(final)))

    def _see_what_is_left(self) -> None:
        if all(recording.decoder.is_done for recording in self.recordings):
            if not self.is_written:
                self._asr_s = time.perf_counter() - self._started - self._decode_s
            self.is_written = True
        done_s = self.total_s - self.left_s
        if done_s > self._reached_s:
            self._reached_s = done_s
            share = done_s / self.total_s
            self.handle.emit(Progress(share * self.duration_s, self.duration_s, queue_s=0.0))


def _timed(units: Units[Result]) -> Units[tuple[Result, float]]:
    """Do units; what comes of them, and the seconds that they took themselves."""
    spent_s = 0.0
    while True:
        started = time.perf_counter()
        try:
            next(units)
        except StopIteration as end:
            return end.value, spent_s + time.perf_counter() - started
        spent_s += time.perf_counter() - started
        yield
