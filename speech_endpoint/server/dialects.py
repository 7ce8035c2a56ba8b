"""Two more dialects: whisper-asr-webservice's (/asr, /detect-language) and whisper.cpp's server's.

https://github.com/ahmetoner/whisper-asr-webservice, `app/webservice.py`; bazarr, subgen and speakr
speak it. https://github.com/ggml-org/whisper.cpp, `examples/server`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from speech_endpoint.languages import language_name
from speech_endpoint.output import openai
from speech_endpoint.server.observation.record import record_of
from speech_endpoint.server.openai.audio import audio_response, speech_request
from speech_endpoint.server.openai.fields import AudioOptions, Fields, read_options
from speech_endpoint.server.uploads.form import Form
from speech_endpoint.server.work import Desk
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Transcript

OUTPUTS = {"txt": "text", "vtt": "vtt", "srt": "srt", "tsv": "tsv", "json": "json"}
OF_WEBSERVICE = frozenset({"output", "encode", "word_timestamps", "vad_filter", "video_file"})
"""Query parameters that are not parameters of ours; the last two mean nothing here."""
CPP_FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
CPP_ONLY = frozenset({"temperature_inc"})


class WhisperWebservice:
    """`POST /asr`."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; raises what `errors.to_api_error` knows."""
        request = HttpRequest(scope, receive)
        query = Fields.of(list(request.query_params.items()))
        output = OUTPUTS[query.choice("output", tuple(OUTPUTS), "txt")]
        encode = query.boolean("encode") is not False
        words = query.boolean("word_timestamps") or False
        given = [(name, value) for name, value in request.query_params.items()
                 if name not in OF_WEBSERVICE]  # fmt: skip
        with self.desk.budget.account() as account:
            form = await self.desk.form(request, account)
            fields = [*given, ("response_format", output)]
            options = read_options(fields, self.desk.settings)
            record_of(scope).format = output
            speech = speech_request(form if encode else _as_wav(form), options)
            transcript = await self.desk.transcript(request, speech)
            response = _webservice_response(transcript, options, words)
            await response(scope, receive, send)


class DetectLanguage:
    """`POST /detect-language`."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; raises what `errors.to_api_error` knows."""
        request = HttpRequest(scope, receive)
        query = Fields.of(list(request.query_params.items()))
        encode = query.boolean("encode") is not False
        with self.desk.budget.account() as account:
            form = await self.desk.form(request, account)
            options = read_options([], self.desk.settings)
            speech = speech_request(form if encode else _as_wav(form), options)
            speech = replace(speech, wants="language")
            transcript = await self.desk.transcript(request, speech)
            await JSONResponse(_detected(transcript))(scope, receive, send)


class WhisperCpp:
    """`POST /inference`."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; raises what `errors.to_api_error` knows."""
        request = HttpRequest(scope, receive)
        with self.desk.budget.account() as account:
            form = await self.desk.form(request, account)
            Fields.of(form.fields).choice("response_format", CPP_FORMATS, "json")
            fields = [(name, value) for name, value in form.fields if name not in CPP_ONLY]
            options = read_options(fields, self.desk.settings)
            record_of(scope).format = options.response_format
            transcript = await self.desk.transcript(request, speech_request(form, options))
            if options.response_format == "json":
                response: Response = JSONResponse({"text": openai.plain_text(transcript)})
            else:
                response = audio_response(transcript, options)
            await response(scope, receive, send)


def _webservice_response(transcript: Transcript, options: AudioOptions, words: bool) -> Response:
    if options.response_format != "json":
        return audio_response(transcript, options)
    named = openai.with_letters(transcript) if options.letters else transcript
    segments: list[Mapping[str, Any]] = []
    for n, segment in enumerate(named.segments):
        answer: dict[str, Any] = dict(openai.verbose_segment(n, segment))
        if words:
            answer["words"] = openai.verbose_words(segment.words)
        segments.append(answer)
    return JSONResponse(
        {
            "text": openai.plain_text(named),
            "segments": segments,
            "language": named.language,
        }
    )


def _detected(transcript: Transcript) -> dict[str, Any]:
    """The language of the first window of speech, and how probable it is."""
    code = transcript.language or ""
    return {
        "detected_language": language_name(code),
        "language_code": code,
        "confidence": round(transcript.stats.get("language_probability", 0.0), 3),
    }


def _as_wav(form: Form) -> Form:
    """Samples without a header (16 bit, 16 kHz, mono) under one, so that nobody has to guess."""
    if form.file is None:
        return form
    n_bytes = min(len(form.file), 2**32 - 64)
    chunk = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, SAMPLE_RATE_HZ, 2 * SAMPLE_RATE_HZ, 2, 16)
    header = struct.pack("<4sI4s", b"RIFF", n_bytes + 36, b"WAVE") + chunk
    header += struct.pack("<4sI", b"data", n_bytes)
    return Form(form.fields, header + form.file, form.warnings)
