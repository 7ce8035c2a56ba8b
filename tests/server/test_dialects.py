"""Requests as other programs' clients send them."""

from __future__ import annotations

import httpx
import numpy as np
import pytest
from paths import KENNEDY
from scripted import EVENTS, TEXT
from served import ScriptedService, Served

from speech_endpoint.audio.decoding.decode import decode_audio
from speech_endpoint.server.app import create_app
from speech_endpoint.server.settings import ServerSettings

MODELS = {"asr_model": "openai/whisper-base", "diarization_model": "a/b"}


@pytest.fixture
def script():
    return ScriptedService(*EVENTS)


@pytest.fixture
def server(script: ScriptedService):
    with Served(create_app(script, ServerSettings(**MODELS))) as server:
        yield server


def test_a29_bazarr_sends_samples_without_a_header(url: str) -> None:
    """custom_libs/subliminal_patch/providers/whisperai.py."""
    waveform = decode_audio(KENNEDY.read_bytes(), 16_000, 60.0)
    samples = (waveform * 32767).astype("<i2").tobytes()
    query = {
        "task": "transcribe",
        "language": "en",
        "output": "srt",
        "encode": "false",
        "video_file": "/tv/secret.mkv",
    }
    answer = httpx.post(f"{url}/asr", params=query, files={"audio_file": samples}, timeout=120)
    assert answer.text.startswith("1\n00:00:0") and "country" in answer.text
    found = httpx.post(
        f"{url}/detect-language",
        params={"encode": "false"},
        files={"audio_file": samples[: 2 * 16_000 * 4]},
        timeout=120,
    ).json()
    assert 0.5 < found.pop("confidence") <= 1
    assert found == {"detected_language": "english", "language_code": "en"}
    assert np.abs(waveform).max() > 0.1


@pytest.mark.pure
@pytest.mark.parametrize(
    ("output", "content_type"),
    [("txt", "text/plain"), ("vtt", "text/vtt"), ("srt", "application/x-subrip"),
     ("tsv", "text/tab-separated-values"), ("json", "application/json"), (None, "text/plain")],
)  # fmt: skip
def test_a29_each_output_has_its_type(server: Served, output, content_type: str) -> None:
    query = {} if output is None else {"output": output}
    answer = httpx.post(f"{server.url}/asr", params=query, files={"audio_file": b"RIFF"})
    assert answer.headers["content-type"].partition(";")[0] == content_type


@pytest.mark.pure
def test_a29_speakr_asks_for_speakers_and_words(server: Served, script) -> None:
    query = {
        "output": "json",
        "enable_diarization": "true",
        "min_speakers": "2",
        "max_speakers": "3",
        "word_timestamps": "true",
        "initial_prompt": "names",
        "vad_filter": "true",
    }
    answer = httpx.post(f"{server.url}/asr", params=query, files={"audio_file": b"RIFF"}).json()
    assert answer["text"] == TEXT and answer["language"] == "en"
    segment = answer["segments"][0]
    assert segment["speaker"] == "A" and segment["words"][0]["word"] and segment["id"] == 0
    (request,) = script.requests
    config = request.config
    assert config.diarize and (config.min_speakers, config.max_speakers) == (2, 3)
    assert config.prompt == "names"


@pytest.mark.pure
def test_a29_a_wrong_output_is_refused(server: Served) -> None:
    answer = httpx.post(f"{server.url}/asr?output=docx", files={"audio_file": b"RIFF"})
    assert answer.status_code == 400 and answer.json()["error"]["param"] == "output"


@pytest.mark.pure
def test_a30_whisper_cpps_clients_are_served(server: Served, script: ScriptedService) -> None:
    fields = {"temperature": "0.0", "temperature_inc": "0.2", "translate": "true"}
    answer = httpx.post(f"{server.url}/inference", files={"file": b"RIFF"}, data=fields)
    assert answer.json() == {"text": TEXT}
    assert script.requests[0].config.task == "translate"
    fields = {"response_format": "srt"}
    answer = httpx.post(f"{server.url}/inference", files={"file": b"RIFF"}, data=fields)
    assert answer.text.startswith("1\n")


@pytest.mark.pure
def test_a31_vibe_sends_no_model_and_an_octet_stream(server: Served) -> None:
    files = {"file": ("audio", b"RIFF", "application/octet-stream")}
    fields = {"stream": "true", "translate": "false", "response_format": "verbose_json"}
    answer = httpx.post(f"{server.url}/v1/audio/transcriptions", files=files, data=fields)
    assert answer.text.endswith("data: [DONE]\n\n")
