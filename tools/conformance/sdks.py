"""Clients for Python, and curl, as they are installed."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import shutil
import subprocess
import tempfile
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from tools.conformance.row import NotInstalled, Row, expect
from tools.conformance.target import ROUTE, SPOKEN, TIMEOUT_S, Target


def module(name: str) -> ModuleType:
    """A client's, or NotInstalled."""
    try:
        return import_module(name)
    except ImportError as error:
        raise NotInstalled(error.name or name) from error


def openai_client(target: Target, kind: str = "OpenAI") -> Any:
    """OpenAI's, which tries nothing twice."""
    client = getattr(module("openai"), kind)
    return client(base_url=f"{target.url}/v1", api_key=target.key, max_retries=0, timeout=TIMEOUT_S)


def create(target: Target, **options: Any) -> Any:
    """What OpenAI's client makes of a transcription."""
    wishes = {"model": "whisper-1", **options}
    return openai_client(target).audio.transcriptions.create(file=target.clip, **wishes)


def spoken(text: object) -> None:
    expect(SPOKEN in str(text).lower(), f"another text: {str(text)[:60]!r}")


def openai_json(target: Target) -> None:
    answer = create(target)
    spoken(answer.text)
    expect(answer.usage and answer.usage.type == "duration", f"usage {answer.usage}")


def openai_async(target: Target) -> None:
    async def ask() -> str:
        async with openai_client(target, "AsyncOpenAI") as client:
            answer = await client.audio.transcriptions.create(file=target.clip, model="whisper-1")
            return str(answer.text)

    spoken(asyncio.run(ask()))


def openai_renderings(target: Target) -> None:
    for response_format, mark in (("text", ""), ("srt", "-->"), ("vtt", "WEBVTT")):
        answer = create(target, response_format=response_format)
        expect(isinstance(answer, str), f"{response_format}: {type(answer).__name__}")
        expect(mark in answer, f"{response_format}: {answer[:60]!r}")
        spoken(answer)


def openai_verbose(target: Target) -> None:
    answer = create(
        target, response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    kind = module("openai.types.audio").TranscriptionVerbose
    kind.model_validate(answer.to_dict(), strict=True)
    expect(answer.segments and answer.words, "no segments, or no words")


def openai_diarized(target: Target) -> None:
    answer = create(
        target,
        model="gpt-4o-transcribe-diarize",
        response_format="diarized_json",
        chunking_strategy={"type": "server_vad", "threshold": 0.5},
    )
    kind = module("openai.types.audio").TranscriptionDiarized
    kind.model_validate(answer.to_dict(), strict=True)
    expect(answer.segments and answer.segments[0].speaker, "no speakers")


def openai_logprobs(target: Target) -> None:
    answer = create(target, include=["logprobs"])
    expect(answer.logprobs, "no logprobs")
    expect(all(each.logprob <= 0 for each in answer.logprobs), "logprobs above 0")


def openai_stream(target: Target) -> None:
    events = list(create(target, stream=True))
    deltas = [each.delta for each in events if each.type == "transcript.text.delta"]
    expect(events and events[-1].type == "transcript.text.done", "no done at the end")
    expect("".join(deltas) == events[-1].text, f"done.text {events[-1].text!r:.60}")
    spoken(events[-1].text)


def openai_translation(target: Target) -> None:
    client = openai_client(target)
    spoken(client.audio.translations.create(file=target.clip, model="whisper-1").text)


def openai_models(target: Target) -> None:
    models = list(openai_client(target).models.list())
    expect(models, "no models")
    expect(openai_client(target).models.retrieve(models[0].id).id == models[0].id, "another one")


def openai_refusal(target: Target) -> None:
    openai = module("openai")
    try:
        create(target, response_format="xml")
    except openai.BadRequestError as error:
        expect(error.param == "response_format", f"param {error.param!r}")
        expect(error.type == "invalid_request_error", f"type {error.type!r}")
        expect(error.request_id, "no x-request-id")
    else:
        expect(False, "xml is served")


def litellm(target: Target) -> None:
    # It would fetch prices from its repository.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    client: Any = module("litellm")
    client.suppress_debug_info = True
    with target.clip.open("rb") as file:
        answer = client.transcription(
            model="openai/whisper-1", file=file, api_base=f"{target.url}/v1", api_key=target.key,
            max_retries=0,
        )  # fmt: skip
    spoken(answer.text)
    cost = client.completion_cost(answer, model="whisper-1", call_type="transcription")
    expect(cost > 0, f"costs {cost}")


def langchain(target: Target) -> None:
    parsers = module("langchain_community.document_loaders.parsers.audio")
    blob = module("langchain_core.documents.base").Blob
    module("pydub").AudioSegment.converter = module("imageio_ffmpeg").get_ffmpeg_exe()
    parser = parsers.OpenAIWhisperParser(api_key=target.key, base_url=f"{target.url}/v1")
    with tempfile.TemporaryDirectory() as directory, contextlib.redirect_stdout(io.StringIO()):
        file = Path(directory) / "clip.wav"
        file.write_bytes(target.wav)
        documents = list(parser.lazy_parse(blob.from_path(file)))
    expect(documents, "no documents")
    spoken(documents[0].page_content)


def hugging_face(target: Target) -> None:
    client = module("huggingface_hub").InferenceClient(timeout=TIMEOUT_S)
    spoken(client.automatic_speech_recognition(target.clip, model=target.url).text)
    answer = client.automatic_speech_recognition(
        target.clip, model=target.url, extra_body={"return_timestamps": True}
    )
    expect(answer.chunks, "return_timestamps gave no chunks")


def hugging_face_async(target: Target) -> None:
    async def ask() -> str:
        client = module("huggingface_hub").AsyncInferenceClient(timeout=TIMEOUT_S)
        answer = await client.automatic_speech_recognition(target.clip, model=target.url)
        return str(answer.text)

    spoken(asyncio.run(ask()))


def curl(target: Target) -> None:
    spoken(curl_says(target, "-F", "response_format=text"))


def curl_waits(target: Target) -> None:
    spoken(curl_says(target, "-H", "Expect: 100-continue", "--expect100-timeout", "60"))


def curl_says(target: Target, *options: str) -> str:
    """The body of a good answer."""
    if shutil.which("curl") is None:
        raise NotInstalled("curl")
    command = [
        "curl", "-sS", "--fail-with-body", "-m", str(TIMEOUT_S), target.url + ROUTE,
        "-H", f"Authorization: Bearer {target.key}",
        "-F", f"file=@{target.clip}", "-F", "model=whisper-1", *options,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    expect(done.returncode == 0, f"{done.stderr} {done.stdout}")
    return done.stdout


PYTHON = "openai (Python)"
ROWS = (
    Row("openai", PYTHON, "json, usage", openai_json),
    Row("openai", PYTHON, "json, asynchronous", openai_async),
    Row("openai", PYTHON, "text, srt, vtt as `str`", openai_renderings),
    Row("openai", PYTHON, "verbose_json, by its types, strictly", openai_verbose),
    Row("openai", PYTHON, "diarized_json, by its types, strictly", openai_diarized),
    Row("openai", PYTHON, "logprobs", openai_logprobs),
    Row("openai", PYTHON, "stream: deltas = done.text", openai_stream),
    Row("openai", PYTHON, "translations", openai_translation),
    Row("openai", PYTHON, "models", openai_models),
    Row("openai", PYTHON, "BadRequestError with param, type, request id", openai_refusal),
    Row("openai", "LiteLLM", "text; a cost from the duration", litellm),
    Row("openai", "LangChain `OpenAIWhisperParser`", "mp3, whisper-1", langchain),
    Row("openai", "curl", "text", curl),
    Row("openai", "curl", "100 Continue before the body", curl_waits),
    Row("hugging face", "huggingface_hub", "text; chunks", hugging_face),
    Row("hugging face", "huggingface_hub, asynchronous", "text", hugging_face_async),
)
