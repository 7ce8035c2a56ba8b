"""Transcriptions, translations and diarization: a form in, a transcript in some format out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from speech_endpoint.errors import InvalidRequest
from speech_endpoint.output import openai
from speech_endpoint.output.cues import SubtitleOptions
from speech_endpoint.output.formats import render, rttm
from speech_endpoint.reception import Request
from speech_endpoint.server.observation.record import record_of
from speech_endpoint.server.openai.extras import extras
from speech_endpoint.server.openai.fields import AudioOptions, invalid, read_options
from speech_endpoint.server.openai.models import check_model
from speech_endpoint.server.openai.streaming import stream_events
from speech_endpoint.server.uploads.form import Form
from speech_endpoint.server.work import Desk
from speech_endpoint.transcript import Transcript

CONTENT_TYPES = {
    "text": "text/plain; charset=utf-8",
    "srt": "application/x-subrip",
    "vtt": "text/vtt; charset=utf-8",
    "rttm": "text/plain; charset=utf-8",
    "tsv": "text/tab-separated-values; charset=utf-8",
}
MAX_WARNINGS_HEADER_BYTES = 1024
DIARIZATION_FORMATS = ("json", "rttm")


class Transcriptions:
    """`POST /v1/audio/transcriptions`, and /v1/audio/translations with another task."""

    def __init__(self, desk: Desk, task: str | None = None) -> None:
        self.desk, self.task = desk, task

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; raises what `errors.to_api_error` knows."""
        request = HttpRequest(scope, receive)
        with self.desk.budget.account() as account:
            form = await self.desk.form(request, account)
            check_model(form.text("model"), self.desk.settings)
            options = read_options(form.fields, self.desk.settings, self.task)
            speech = speech_request(form, options)
            record = record_of(scope)
            record.format, record.stream = options.response_format, options.stream
            if options.stream:
                work = self.desk.submit(request, speech)
                await stream_events(work, options, send)
                return
            transcript = await self.desk.transcript(request, speech)
            response = audio_response(transcript, options)
            await response(scope, receive, send)


class Diarization:
    """`POST /v1/audio/diarization`: who spoke when."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; raises what `errors.to_api_error` knows."""
        request = HttpRequest(scope, receive)
        with self.desk.budget.account() as account:
            form = await self.desk.form(request, account)
            check_model(form.text("model"), self.desk.settings)
            response_format = form.text("response_format") or "json"
            if response_format not in DIARIZATION_FORMATS:
                allowed = ", ".join(DIARIZATION_FORMATS)
                raise invalid("response_format", f"expected one of {allowed}")
            others = [field for field in form.fields if field[0] != "response_format"]
            fields = [*others, ("response_format", "diarized_json")]
            options = read_options(fields, self.desk.settings)
            record_of(scope).format = response_format
            speech = replace(speech_request(form, options), wants="speakers")
            transcript = await self.desk.transcript(request, speech)
            named = openai.with_letters(transcript) if options.letters else transcript
            if response_format == "rttm":
                text = rttm(sorted(named.speaker_turns, key=lambda turn: turn.start))
                response = Response(text, media_type=CONTENT_TYPES["rttm"])
                if transcript.warnings:
                    response.headers["x-warnings"] = warnings_header(transcript.warnings)
            else:
                answer = dict(openai.to_diarization_json(named))
                response = JSONResponse(_with_warnings(answer, transcript.warnings))
            await response(scope, receive, send)


def speech_request(form: Form, options: AudioOptions) -> Request:
    """What the service is asked for.

    Raises:
        InvalidRequest: there is no file in the form.
    """
    if form.file is None:
        raise InvalidRequest("parameters.file", "missing", "missing; send the audio file in it")
    warnings = (*form.warnings, *options.warnings)
    outline = "waveform" in options.include
    return Request(form.file, options.config, warnings, outline=outline)


def audio_response(transcript: Transcript, options: AudioOptions) -> Response:
    """The whole answer, in the format that is asked for."""
    named = openai.with_letters(transcript) if options.letters else transcript
    headers = {"server-timing": server_timing(transcript)}
    if options.response_format in CONTENT_TYPES:
        if transcript.warnings:
            headers["x-warnings"] = warnings_header(transcript.warnings)
        media_type = CONTENT_TYPES[options.response_format]
        text = rendered(named, options)
        response = Response(text.encode(errors="replace"), media_type=media_type)
        response.headers.update(headers)
        return response
    return JSONResponse(_json_answer(named, options), headers=headers)


def rendered(transcript: Transcript, options: AudioOptions) -> str:
    """Text, subtitles, RTTM or TSV."""
    config = options.config
    subtitles = SubtitleOptions(config.max_line_chars, config.max_cue_s, config.speaker_labels)
    return render(transcript, options.response_format, subtitles)


def _json_answer(transcript: Transcript, options: AudioOptions) -> dict[str, Any]:
    answer: dict[str, Any]
    words = "word" in options.granularities
    if options.response_format == "verbose_json":
        task = options.config.task
        answer = dict(openai.to_verbose_json(transcript, task, options.granularities))
    elif options.response_format == "diarized_json":
        answer = dict(openai.to_diarized_json(transcript, words=words))
    else:
        answer = dict(openai.to_json(transcript, logprobs="logprobs" in options.include))
        if options.timed:
            answer |= openai.times(transcript, options.granularities)
    answer |= extras(transcript, options)
    return _with_warnings(answer, transcript.warnings)


def _with_warnings(answer: dict[str, Any], warnings: Sequence[str]) -> dict[str, Any]:
    return answer | {"warnings": list(warnings)} if warnings else answer


def warnings_header(warnings: Sequence[str]) -> str:
    """Warnings where an answer has no place for them: percent-encoded, cut at a whole one."""
    header = quote("; ".join(warnings), safe=" ;,:()'")
    if len(header) <= MAX_WARNINGS_HEADER_BYTES:
        return header
    # Not within an escape, nor within a character of several.
    return header[: MAX_WARNINGS_HEADER_BYTES - 12].rpartition(" ")[0] + " ..."


def server_timing(transcript: Transcript) -> str:
    """The stages, for a browser's tools (https://www.w3.org/TR/server-timing/)."""
    stages = transcript.timings_s.items()
    return ", ".join(f"{name};dur={1000 * seconds:.1f}" for name, seconds in stages)
