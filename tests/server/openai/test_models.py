"""Names of models, and what a server allows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest
from openai import OpenAI
from openai_calls import error_of, post, served
from scripted import EVENTS
from served import ScriptedService

pytestmark = pytest.mark.pure


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(ScriptedService(*EVENTS)) as server:
        yield server.url


def test_a13_any_name_of_a_model_is_served_unless_names_are_strict(url: str) -> None:
    for model in ("whisper-1", "gpt-4o-transcribe-diarize", "nonsense", ""):
        answer = post(url, model=model)
        assert answer.status_code == 200 and answer.headers["x-model"] == "openai/whisper-base"
    with served(ScriptedService(*EVENTS), model_names="strict") as server:
        assert post(server.url, model="whisper-1").status_code == 200
        assert post(server.url).status_code == 200
        for route in ("transcriptions", "translations", "diarization"):
            answer = httpx.post(
                f"{server.url}/v1/audio/{route}", files={"file": b"x"}, data={"model": "nonsense"}
            )
            assert (answer.status_code, error_of(answer)["code"]) == (404, "model_not_found")


def test_models_are_listed_as_the_sdk_expects(url: str) -> None:
    client = OpenAI(base_url=f"{url}/v1", api_key="x")
    names = [model.id for model in client.models.list()]
    assert names == ["openai/whisper-base", "whisper-1", "gpt-4o-transcribe-diarize"]
    assert client.models.retrieve("openai/whisper-base").owned_by == "openai"


def test_a17_limits_are_told(url: str) -> None:
    limits = httpx.get(url + "/v1/limits").json()
    assert limits["max_file_bytes"] == 512 * 2**20 and limits["max_audio_s"] == 14_400
    assert limits["diarization"] and limits["known_speakers"]


def test_k9_known_speakers_are_promised_only_where_they_can_be_found() -> None:
    elsewhere = ScriptedService()
    elsewhere.current = replace(elsewhere.current, compares_voices=False)
    with served(ScriptedService(), disable_speaker_id=True) as off, served(elsewhere) as other:
        for server in (off, other):
            limits = httpx.get(server.url + "/v1/limits").json()
            assert limits["diarization"] and not limits["known_speakers"]
