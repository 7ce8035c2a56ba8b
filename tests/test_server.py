"""Over HTTP, with the clients that people use."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from host import load_handler, make_app
from huggingface_hub import InferenceClient, __version__
from paths import KENNEDY, PHONE_CALL, REPOSITORY
from threaded_server import ThreadedServer

pytestmark = pytest.mark.core
official_client = pytest.mark.skipif(
    int(__version__.split(".")[0]) < 1,
    reason="clients before 1.0 send no content type, which the host refuses",
)


@pytest.fixture(scope="module")
def served(environment: None):
    return load_handler(REPOSITORY)


@pytest.fixture(scope="module")
def url(served) -> Iterator[str]:
    with ThreadedServer(make_app(served), log_level="warning") as server:
        yield server.url


@pytest.fixture(scope="module")
def audio() -> Path:
    return PHONE_CALL


@official_client
def test_the_official_client_sends_a_file(url: str, audio: Path) -> None:
    output = InferenceClient(model=url).automatic_speech_recognition(str(audio))
    assert "Chicago" in output.text
    assert output.chunks and all(
        isinstance(t, float) for chunk in output.chunks for t in chunk.timestamp
    )
    assert {turn["speaker"] for turn in output["speakers"]} == {"SPEAKER_00", "SPEAKER_01"}


@official_client
def test_the_official_client_sends_parameters(url: str, audio: Path) -> None:
    body = {"return_timestamps": "word", "num_speakers": 2, "response_format": "srt"}
    output = InferenceClient(model=url).automatic_speech_recognition(str(audio), extra_body=body)
    assert "Chicago" in output.text and output["words"] and output["content"].startswith("1\n")


@official_client
def test_the_task_of_the_endpoint_does_not_matter(served, audio: Path) -> None:
    with ThreadedServer(
        make_app(served, task="automatic-speech-recognition"), log_level="warning"
    ) as server:
        client = InferenceClient(model=server.url)
        assert (
            "Chicago"
            in client.automatic_speech_recognition(str(audio), extra_body={"batch_size": 4}).text
        )


def test_raw_audio_with_parameters_in_the_query(url: str, audio: Path) -> None:
    answer = requests.post(
        f"{url}?diarize=false&batch_size=2&language=en",
        data=audio.read_bytes(),
        headers={"Content-Type": "audio/wav"},
        timeout=600,
    ).json()
    assert "Chicago" in answer["text"] and answer["speakers"] == []


def test_an_error_reaches_the_caller_and_the_next_request_works(url: str) -> None:
    bad = requests.post(url, json={"inputs": "not base64!", "parameters": {}}, timeout=60)
    assert bad.status_code == 400 and "base64" in bad.json()["error"]
    both = requests.post(url, json={"inputs": "", "parameters": {"batch_size": 0}}, timeout=60)
    assert both.status_code == 400 and "batch_size" in both.json()["error"]
    audio = base64.b64encode(KENNEDY.read_bytes()).decode()
    good = requests.post(url, json={"inputs": audio}, timeout=600)
    assert good.status_code == 200 and "country" in good.json()["text"]


def test_two_callers_at_once_are_both_served(url: str) -> None:
    audio = KENNEDY.read_bytes()
    answers: list[str] = []

    def call() -> None:
        response = requests.post(
            url, data=audio, headers={"Content-Type": "audio/ogg"}, timeout=600
        )
        answers.append(response.json()["text"])

    callers = [threading.Thread(target=call) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(answers) == 3 and len(set(answers)) == 1
