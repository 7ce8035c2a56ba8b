"""OpenAI's routes with real models and the real SDK."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from openai import BadRequestError, OpenAI
from openai.types.audio import TranscriptionDiarized, TranscriptionVerbose
from openapi_spec_validator import OpenAPIV31SpecValidator
from paths import AUSTEN, CLIPS, KENNEDY, PHONE_CALL

from speech_endpoint.server.openai.audio import warnings_header
from speech_endpoint.server.openai.schema import openapi

WORDS = "ask what you can do for your country"


@pytest.fixture(scope="module")
def client(url: str) -> OpenAI:
    return OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


@pytest.fixture(scope="module")
def plain(client: OpenAI) -> str:
    """The text of the clip, as the SDK reads it."""
    answer = client.audio.transcriptions.create(file=KENNEDY, model="whisper-1")
    assert answer.usage is not None and answer.usage.type == "duration"
    assert answer.usage.seconds == 11
    assert [language.code for language in answer.languages or []] == ["en"]
    return answer.text


def test_a7_text_formats_are_bare_and_have_their_content_types(url: str, plain: str) -> None:
    types = {
        "text": "text/plain; charset=utf-8",
        "srt": "application/x-subrip",
        "vtt": "text/vtt; charset=utf-8",
        "tsv": "text/tab-separated-values; charset=utf-8",
    }
    texts = {}
    for response_format, content_type in types.items():
        answer = httpx.post(
            f"{url}/v1/audio/transcriptions",
            files={"file": KENNEDY.read_bytes()},
            data={"response_format": response_format, "unheard of": "ü"},
            timeout=120,
        )
        assert answer.headers["content-type"] == content_type and answer.text.endswith("\n")
        assert "'unheard of'" in answer.headers["x-warnings"]
        assert "asr;dur=" in answer.headers["server-timing"]
        texts[response_format] = answer.text
    assert texts["text"].strip() == plain and WORDS in plain
    assert texts["srt"].startswith("1\n00:00:0") and texts["vtt"].startswith("WEBVTT\n\n")
    assert texts["tsv"].startswith("start\tend\ttext\n")


def test_a8_verbose_json_passes_the_sdks_types(client: OpenAI, plain: str) -> None:
    answer = client.audio.transcriptions.with_raw_response.create(
        file=("no name", KENNEDY.read_bytes(), "application/octet-stream"),
        model="nonsense",
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    verbose = TranscriptionVerbose.model_validate_json(answer.http_response.content, strict=True)
    assert verbose.language == "english" and verbose.duration == 11.0 and verbose.text == plain
    assert verbose.segments and verbose.words
    assert [each.id for each in verbose.segments] == list(range(len(verbose.segments)))
    assert "".join(each.text for each in verbose.segments).strip() == plain
    assert " ".join(each.word for each in verbose.words) == plain
    assert all(each.tokens and each.avg_logprob < 0 for each in verbose.segments)
    # The window begins before its first word, where speech was found.
    assert 0 <= verbose.segments[0].seek <= 100 * verbose.segments[0].start


def test_a10_diarized_json_passes_the_sdks_types(client: OpenAI) -> None:
    answer = client.audio.transcriptions.with_raw_response.create(
        file=PHONE_CALL,
        model="gpt-4o-transcribe-diarize",
        response_format="diarized_json",
        chunking_strategy="auto",
    )
    content = answer.http_response.content
    diarized = TranscriptionDiarized.model_validate_json(content, strict=True)
    assert {each.speaker for each in diarized.segments} == {"A", "B"}
    assert diarized.segments[0].speaker == "A" and diarized.duration == 30.0
    assert [each.id for each in diarized.segments][:2] == ["seg_001", "seg_002"]
    assert all(a.start <= b.start for a, b in pairwise(diarized.segments))
    assert len(diarized.text.splitlines()) == len(diarized.segments)
    assert "Chicago" in json.loads(content)["transcript"]


def test_a18_a_streamed_text_is_the_text(client: OpenAI, plain: str) -> None:
    stream = client.audio.transcriptions.create(file=KENNEDY, model="whisper-1", stream=True)
    events = list(stream)
    deltas = [event.delta for event in events if event.type == "transcript.text.delta"]
    assert "".join(deltas) == events[-1].text == plain and len(deltas) > 1


@pytest.mark.filterwarnings("ignore:deprecated")
def test_a_translation_is_asked_for_by_its_route(client: OpenAI) -> None:
    answer = client.audio.translations.create(
        file=KENNEDY, model="whisper-1", response_format="verbose_json"
    )
    assert answer.language == "english" and "country" in answer.text


def test_who_spoke_when_comes_without_text(url: str) -> None:
    answer = httpx.post(
        f"{url}/v1/audio/diarization",
        files={"file": PHONE_CALL.read_bytes()},
        data={"response_format": "json"},
        timeout=120,
    )
    found = answer.json()
    assert found["num_speakers"] == 2 and {each["speaker"] for each in found["segments"]} == {
        "A",
        "B",
    }
    assert "Chicago" not in answer.text and "warnings" not in found
    refused = httpx.post(
        f"{url}/v1/audio/diarization", files={"file": b"x"}, data={"response_format": "srt"}
    )
    assert refused.json()["error"]["param"] == "response_format"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "audio_empty"),
        ((CLIPS / "README.md").read_bytes(), "audio_undecodable"),
        (b"ID3" + bytes(500), "audio_undecodable"),
    ],
)
def test_a5_a_file_that_is_no_audio_is_refused_as_such(
    client: OpenAI, content: bytes, code: str
) -> None:
    with pytest.raises(BadRequestError) as caught:
        client.audio.transcriptions.create(file=("a.mp3", content), model="whisper-1")
    assert (caught.value.param, caught.value.code) == ("file", code)


def test_warnings_fit_in_a_header_whatever_they_say() -> None:
    assert warnings_header(["ü"]) == "%C3%BC"
    long = warnings_header(["wörd " * 1000])
    assert len(long) <= 1024 and long.isascii() and long.endswith(" ...")
    assert len(warnings_header(["ü" * 5000])) <= 1024
    assert "\n" not in warnings_header(["a\r\nset-cookie: x"])


@pytest.mark.parametrize("keys", [True, False])
def test_s31_the_description_is_valid(keys: bool) -> None:
    document = openapi(keys=keys)
    OpenAPIV31SpecValidator(document).validate()
    form = document["paths"]["/v1/audio/transcriptions"]["post"]["requestBody"]["content"]
    properties = form["multipart/form-data"]["schema"]["properties"]
    assert {"file", "language", "num_speakers", "include[]"} <= properties.keys()


def test_s31_the_description_is_served_and_describes_the_answers(url: str) -> None:
    from jsonschema import Draft202012Validator

    document = httpx.get(f"{url}/openapi.json").json()
    for response_format, name in (("json", "Json"), ("verbose_json", "VerboseJson")):
        answer = httpx.post(
            f"{url}/v1/audio/transcriptions",
            files={"file": AUSTEN.read_bytes()},
            data={
                "response_format": response_format,
                "timestamp_granularities[]": ["word", "segment"],
                "include[]": ["timings", "speakers", "logprobs"],
            },
            timeout=120,
        ).json()
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        Draft202012Validator(schema).validate(answer)
        assert answer["timings"]["total"] > 0 and answer["speakers"] == []


def test_the_file_is_read_whatever_its_path(client: OpenAI, tmp_path: Path) -> None:
    odd = tmp_path / "ü 'odd' \"name\".txt"
    odd.write_bytes(AUSTEN.read_bytes())
    assert client.audio.transcriptions.create(file=odd, model="").text
