"""The application on two nodes: what callers notice of many machines, and of machines that die."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import openai
import pytest
import requests
from paths import AUSTEN, KENNEDY, PHONE_CALL
from two_nodes import TwoNodes

from speech_endpoint.audio.decoding.decode import decode_audio
from speech_endpoint.config import InferenceConfig, ModelSettings
from speech_endpoint.output.openai import to_diarized_json
from speech_endpoint.pipeline import SpeechPipeline
from speech_endpoint.reception import Request

N_CALLERS = 6
PATIENCE_S = 5
"""Far less than the rest of the longest file takes."""


@pytest.fixture(scope="module")
def pipeline(cluster: TwoNodes) -> SpeechPipeline:
    """One machine, with the cluster's models."""
    return SpeechPipeline(ModelSettings())


@pytest.fixture(scope="module")
def recording(tmp_path_factory, wav) -> Callable[[int], Path]:
    """A file of so many times 17 s of speech."""
    speech = [
        decode_audio(each.read_bytes(), 16_000, 60.0).reshape(-1) for each in (AUSTEN, KENNEDY)
    ]

    def write(n_times: int) -> Path:
        file: Path = tmp_path_factory.mktemp("long") / f"{n_times}.wav"
        file.write_bytes(wav(np.concatenate(speech * n_times)))
        return file

    return write


@pytest.fixture(scope="module")
def long(recording) -> Path:
    return recording(16)


@pytest.fixture(scope="module")
def text(pipeline: SpeechPipeline, long: Path) -> str:
    """What one machine makes of the long file."""
    return pipeline.run(Request(long.read_bytes(), InferenceConfig(diarize=False))).text.strip()


def lines(response: requests.Response) -> Iterator[str]:
    return (line.decode() for line in response.iter_lines())


def test_a_conversation_is_the_one_of_a_single_machine(cluster, pipeline) -> None:
    answer = cluster.transcribe(PHONE_CALL, response_format="diarized_json").json()
    alone = to_diarized_json(pipeline.run(Request(PHONE_CALL.read_bytes(), InferenceConfig())))
    said = [(s["start"], s["end"], s["text"]) for s in answer["segments"]]
    assert said == [(s["start"], s["end"], s["text"]) for s in alone["segments"]]
    assert len({s["speaker"] for s in answer["segments"]}) == 2


def test_voices_are_learnt_and_known_again(cluster) -> None:
    voice = cluster.post("voiceprints", KENNEDY).json()["voiceprint"]
    clip = base64.b64encode(AUSTEN.read_bytes()).decode()
    known = {
        "known_speaker_names[]": ["Kennedy", "Reader"],
        "known_speaker_references[]": [voice, clip],
    }
    answer = cluster.transcribe(KENNEDY, response_format="diarized_json", **known).json()
    assert {each["speaker"] for each in answer["segments"]} == {"Kennedy"}
    assert [each["matched"] for each in answer["known_speakers"]] == [True, False]


def test_a_file_cut_over_two_replicas_comes_back_in_order(cluster, long, text) -> None:
    assert cluster.transcribe(long).json()["text"] == text


def test_who_is_answered_notices_nothing_of_a_transcribers_death(cluster, long, text) -> None:
    said = lines(cluster.transcribe(long, stream="true"))
    with ThreadPoolExecutor(1) as pool:
        beside = pool.submit(cluster.transcribe, long)
        next(line for line in said if "delta" in line)
        cluster.kill_one("Transcriber")
        assert any(text in line for line in said if "transcript.text.done" in line)
        assert beside.result().json()["text"] == text


def test_an_ingresss_death_is_an_error_that_clients_retry(cluster, long, text) -> None:
    client = openai.OpenAI(base_url=f"{cluster.url}/v1", api_key="none", max_retries=5)
    streams = [lines(cluster.transcribe(long, stream="true")) for _ in range(3)]
    with ThreadPoolExecutor(4) as pool:
        answers = [
            pool.submit(client.audio.transcriptions.create, model="whisper-1", file=long.open("rb"))
            for _ in range(2)
        ]
        next(line for line in streams[0] if "delta" in line)
        cluster.kill_one("Ingress")
        ends = list(pool.map(end_of, streams))
        assert all(answer.result().text == text for answer in answers)
    assert set(ends) <= {"done", "broken"}


def end_of(stream: Iterator[str]) -> str:
    last = ""
    try:
        for line in stream:
            last = line or last
    except requests.RequestException:
        return "broken"
    return "done" if last == "data: [DONE]" else last


def test_an_update_and_fewer_replicas_fail_nobody(cluster) -> None:
    over = threading.Event()

    def call() -> list[tuple[int, str]]:
        answers = []
        while not over.is_set():
            answer = cluster.transcribe(KENNEDY)
            answers.append((answer.status_code, answer.text))
        return answers

    with ThreadPoolExecutor(N_CALLERS) as pool:
        callers = [pool.submit(call) for _ in range(N_CALLERS)]
        cluster.deploy(n_transcribers=2, version=1)
        cluster.deploy(n_transcribers=1, version=1)
        over.set()
        answers = [each for caller in callers for each in caller.result()]
    assert len(answers) > N_CALLERS
    assert {status for status, _ in answers} == {200}
    assert len(set(answers)) == 1


def test_who_would_be_one_too_many_is_told_when_to_come_back(cluster) -> None:
    n_callers = 80  # More than MAX_REQUESTS at both ingresses.
    with ThreadPoolExecutor(n_callers) as pool:
        answers = list(pool.map(lambda _: cluster.transcribe(AUSTEN), range(n_callers)))
    refused = [each for each in answers if each.status_code == 429]
    assert refused and all(int(each.headers["retry-after"]) > 0 for each in refused)
    assert {each.status_code for each in answers} == {200, 429}
    assert all("," not in each.headers["x-request-id"] for each in answers)


def test_who_hangs_up_leaves_nothing_at_the_replicas(cluster, recording) -> None:
    stream = cluster.transcribe(recording(150), stream="true")
    next(line for line in lines(stream) if "delta" in line)
    assert cluster.n_open("Transcriber") > 0
    stream.close()
    deadline = time.monotonic() + PATIENCE_S
    while cluster.n_open("Transcriber") and time.monotonic() < deadline:
        cluster.transcribe(AUSTEN)
    assert cluster.n_open("Transcriber") == 0
