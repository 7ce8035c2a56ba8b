"""Files that are transcribed here, together."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from paths import AUSTEN, KENNEDY, MODELS

from speech_endpoint.cli.local import LocalRecogniser
from speech_endpoint.cli.recognisers import Advance, GivenUp
from speech_endpoint.config import ModelSettings
from speech_endpoint.errors import InvalidRequest, ModelUnavailable

TINY = ModelSettings(asr_model=str(MODELS / "whisper-tiny.en"))


@pytest.fixture(scope="module")
def recogniser() -> Iterator[LocalRecogniser]:
    recogniser = LocalRecogniser(TINY, max_jobs=3)
    yield recogniser
    recogniser.close()


def test_files_at_once_give_each_what_it_gives_alone_and_a_bad_one_harms_none(
    recogniser: LocalRecogniser,
) -> None:
    files = [AUSTEN.read_bytes(), KENNEDY.read_bytes()]
    alone = [recogniser.transcribe(audio, {}) for audio in files]
    with ThreadPoolExecutor(3) as pool:
        bad = pool.submit(recogniser.transcribe, b"no audio at all", {})
        together = list(pool.map(lambda audio: recogniser.transcribe(audio, {}), files))
        with pytest.raises(InvalidRequest):
            bad.result()
    assert [each.segments for each in together] == [each.segments for each in alone]
    assert "more amiable woman" in together[0].text


def test_what_is_final_is_told_on_the_way(recogniser: LocalRecogniser) -> None:
    heard: list[Advance] = []
    transcript = recogniser.transcribe(KENNEDY.read_bytes(), {}, heard.append)
    assert "".join(each.text for each in heard) == transcript.text
    assert heard[-1].done_s == heard[-1].duration_s == pytest.approx(transcript.duration_s)


def test_who_closes_it_waits_for_nobody() -> None:
    recogniser = LocalRecogniser(TINY, max_jobs=1)
    begun = threading.Event()
    long = KENNEDY.read_bytes()

    def transcribe() -> None:
        recogniser.transcribe(long, {}, lambda _: begun.set())

    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(transcribe)
        begun.wait(60)
        recogniser.close()
        with pytest.raises(GivenUp):
            job.result(60)
    with pytest.raises(GivenUp):
        recogniser.transcribe(long, {})


def test_a_model_that_is_not_there_is_said_so() -> None:
    with pytest.raises(ModelUnavailable, match="nowhere"):
        LocalRecogniser(ModelSettings(asr_model="/nowhere"), max_jobs=1)
