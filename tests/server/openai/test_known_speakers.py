"""Known speakers by OpenAI's two lists and its SDK; voiceprints by their route."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest
from openai import BadRequestError, OpenAI
from paths import AUSTEN, KENNEDY, PHONE_CALL


@pytest.fixture(scope="module")
def client(url: str) -> OpenAI:
    return OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


def post(url: str, route: str, content: bytes, **fields: Any) -> httpx.Response:
    files = {"file": content}
    return httpx.post(f"{url}/v1/audio/{route}", files=files, data=fields, timeout=120)


@pytest.fixture(scope="module")
def kennedy(url: str) -> str:
    """The voiceprint of the clip."""
    answer = post(url, "voiceprints", KENNEDY.read_bytes())
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    found = answer.json()
    assert found["object"] == "voiceprint" and found["voices"] == 1 and found["warnings"] == []
    assert found["voiceprint"].startswith(f"vp1.{found['model']}.")
    assert 5 < found["seconds_of_speech"] < 11
    return found["voiceprint"]


def data_url(content: bytes) -> str:
    return "data:audio/flac;base64," + base64.b64encode(content).decode()


def known(name: str, reference: str) -> dict[str, list[str]]:
    return {"known_speaker_names[]": [name], "known_speaker_references[]": [reference]}


def test_k7_the_sdks_two_fields_name_the_speakers_of_diarized_json(
    client: OpenAI, kennedy: str
) -> None:
    answer = client.audio.transcriptions.with_raw_response.create(
        file=KENNEDY,
        model="gpt-4o-transcribe-diarize",
        response_format="diarized_json",
        extra_body={
            "known_speaker_names": ["Kennedy", "Reader"],
            "known_speaker_references": [kennedy, data_url(AUSTEN.read_bytes())],
        },
    )
    content = json.loads(answer.http_response.content)
    assert {each["speaker"] for each in content["segments"]} == {"Kennedy"}
    assert content["text"].startswith("Kennedy: ")
    assert [each["matched"] for each in content["known_speakers"]] == [True, False]


def test_k7_a_stream_ends_with_names(client: OpenAI, kennedy: str) -> None:
    stream = client.audio.transcriptions.create(
        file=KENNEDY,
        model="whisper-1",
        response_format="diarized_json",
        stream=True,
        extra_body={"known_speaker_names": ["Kennedy"], "known_speaker_references": [kennedy]},
    )
    segments = [each for each in stream if each.type == "transcript.text.segment"]
    assert segments and {each.speaker for each in segments} == {"Kennedy"}


def test_k7_diarization_and_subtitles_bear_names_and_strangers_letters(
    url: str, kennedy: str
) -> None:
    found = post(url, "diarization", PHONE_CALL.read_bytes(), **known("Kennedy", kennedy)).json()
    assert {each["speaker"] for each in found["segments"]} == {"A", "B"}
    (stranger,) = found["known_speakers"]
    assert not stranger["matched"] and stranger["speaker"] in ("A", "B")
    subtitles = post(
        url,
        "transcriptions",
        KENNEDY.read_bytes(),
        response_format="vtt",
        **known("J. <K>", kennedy),
    )
    assert "<v J. &lt;K&gt;>" in subtitles.text


def test_a_voiceprint_of_a_part_of_a_recording(url: str, kennedy: str) -> None:
    part = post(url, "voiceprints", KENNEDY.read_bytes(), start="5", end="8").json()
    assert part["seconds_of_speech"] <= 3 and "little" in part["warnings"][0]
    for start, end in (("5", "5"), ("99", "")):
        refused = post(url, "voiceprints", KENNEDY.read_bytes(), start=start, end=end)
        assert refused.status_code == 400 and refused.json()["error"]["param"] == "start"
    assert post(url, "voiceprints", b"RIFF", start="x").json()["error"]["param"] == "start"


def test_k2_a_clip_of_two_voices_has_no_voiceprint(url: str) -> None:
    refused = post(url, "voiceprints", PHONE_CALL.read_bytes())
    error = refused.json()["error"]
    assert refused.status_code == 400 and "two voices" in error["message"]
    assert error["param"] == "file"


def test_k1_another_models_voiceprint_is_refused_naming_both(client: OpenAI, kennedy: str) -> None:
    other = "vp1.00000000." + kennedy.rpartition(".")[2]
    with pytest.raises(BadRequestError, match=f"00000000.*{kennedy.split('.')[1]}") as caught:
        client.audio.transcriptions.create(
            file=KENNEDY,
            model="whisper-1",
            extra_body={"known_speaker_names": ["K"], "known_speaker_references": [other]},
        )
    assert caught.value.param == "known_speakers"


def test_k8_metrics_hold_neither_names_nor_voices(url: str, kennedy: str) -> None:
    metrics = httpx.get(f"{url}/metrics").text
    assert "Kennedy" not in metrics and kennedy[20:40] not in metrics
