"""What fails within a request costs no more than it must, and the next request is whole."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from paths import AUSTEN, KENNEDY, PHONE_CALL

from speech_endpoint.config import ModelSettings
from speech_endpoint.diarization.diarizer import Diarizer
from speech_endpoint.diarization.whole import smaller_batches
from speech_endpoint.errors import OutOfMemory
from speech_endpoint.pipeline import SpeechPipeline
from speech_endpoint.reception import Request
from speech_endpoint.transcript import Diarization, Waveform

FAILURES = [ValueError("no voice"), IndexError(), torch.OutOfMemoryError("CUDA out of memory")]


class FailingDiarizer:
    """Stands where a diarizer stands, and fails as the library beneath it might."""

    def __init__(self, failure: Exception) -> None:
        self.failure = failure

    def __call__(self, waveform: Waveform, **limits: int | None) -> Diarization:
        raise self.failure


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_words_come_without_speakers_where_diarization_fails(
    handler, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    whole = handler({"inputs": KENNEDY.read_bytes()})
    with monkeypatch.context() as patch:
        patch.setattr(handler.pipeline, "diarizer", FailingDiarizer(failure))
        answer = handler({"inputs": KENNEDY.read_bytes()})
    assert answer["text"] == whole["text"] and answer["speakers"] == []
    assert answer["warnings"] == ["diarization failed; the transcript has no speakers"]
    assert handler({"inputs": KENNEDY.read_bytes()})["speakers"] == whole["speakers"]


class PipelineOfLittleMemory:
    """A pyannote pipeline that has memory for batches of so many."""

    def __init__(self, fits: int) -> None:
        self.fits, self.tried = fits, []
        self.segmentation_batch_size = self.embedding_batch_size = 32

    def __call__(self, file: object) -> None:
        self.tried.append(self.segmentation_batch_size)
        if self.segmentation_batch_size > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory")


def test_smaller_batches_last_as_long_as_they_are_needed() -> None:
    pipeline = PipelineOfLittleMemory(fits=8)
    with smaller_batches(pipeline, fewer=4):
        pipeline({})
    assert pipeline.tried == [8]
    assert pipeline.segmentation_batch_size == pipeline.embedding_batch_size == 32


@pytest.fixture(scope="module")
def pipeline(environment: None) -> Iterator[SpeechPipeline]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASR_MODEL", "models/whisper-tiny.en")
        patch.delenv("ASSISTANT_MODEL")
        patch.delenv("DIARIZATION_MODEL")
        yield SpeechPipeline(ModelSettings())


def test_a_stream_that_nobody_reads_to_its_end_harms_no_other(pipeline: SpeechPipeline) -> None:
    request = Request.from_host({"inputs": PHONE_CALL.read_bytes()})
    whole = pipeline.run(request)
    stream = pipeline.stream(request)
    next(stream)
    stream.close()
    assert [each.text for each in pipeline.run(request).segments] == [
        each.text for each in whole.segments
    ]


def test_an_error_of_memory_says_what_helps(
    pipeline: SpeechPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: object) -> None:
        raise MemoryError

    request = Request.from_host({"inputs": AUSTEN.read_bytes()})
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "decoder", no_memory)
        with pytest.raises(OutOfMemory, match="send a shorter recording"):
            pipeline.run(request)
    assert pipeline.run(request).segments


def test_more_speakers_than_moments_are_no_fault(diarization_bundle) -> None:
    diarizer = Diarizer(str(diarization_bundle), token=None, device="cpu")
    second = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    assert isinstance(diarizer(second, min_speakers=100), Diarization)
    assert isinstance(diarizer(second, num_speakers=100), Diarization)
