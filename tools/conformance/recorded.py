"""Requests of clients that do not run here, written after their code, and what each reads.

The commit beside a client is the one that was read.
"""

from __future__ import annotations

import json
from typing import Any

from tools.conformance.errors import error_of
from tools.conformance.fields import expect_spoken
from tools.conformance.row import Row, expect
from tools.conformance.streams import joined
from tools.conformance.target import BOTH_TIMES, SPOKEN, Event, Target, answered

WHISPER_1 = ("model", "whisper-1")
AUDIO_FILE = ("audio_file", "audio_file", "")
"""Its name is the field's where requests is given bytes alone."""


def open_webui(target: Target) -> None:
    expect_spoken(target, [WHISPER_1])
    refused = target.post([WHISPER_1], file=b"no recording" * 50)
    expect(refused.status_code >= 400, f"not audio: {refused.status_code}")
    expect(error_of(refused).get("message"), f"no error.message: {refused.text[:80]}")


def home_assistant(target: Target) -> None:
    fields = [WHISPER_1, ("language", "en"), ("prompt", ""), ("temperature", "0"),
              ("response_format", "json")]  # fmt: skip
    part = ("file", "whisper_audio.wav", "audio/wav")
    answer = answered(target.post(fields, file=target.wav, part=part))
    expect(SPOKEN in str(answer.get("text")).lower(), "another text")
    for language in ("tl", "fil", "nb"):
        answer = answered(target.post([WHISPER_1, ("language", language)]))
        expect("text" in answer, f"language={language}: no text")


def n8n(target: Target) -> None:
    fields = [WHISPER_1, ("language", "en"), ("temperature", "0.2")]
    answer = answered(target.post(fields, file_last=True))
    expect(SPOKEN in str(answer.get("text")).lower(), "another text")


def wyoming_openai(target: Target) -> None:
    events = target.events([("response_format", "json")])
    expect(SPOKEN in joined(events).lower(), "no text in the deltas")


def vibe(target: Target) -> None:
    """Its own reader takes lines of JSON, which its own server alone sends."""
    fields = [("stream", "true"), ("language", "en"), ("translate", "true"), ("n_threads", "4"),
              ("best_of", "5"), ("max_segment_len", "40"), ("word_timestamps", "true")]  # fmt: skip
    part = ("file", "clip.ogg", "application/octet-stream")
    response = target.post(fields, part=part)
    expect(response.status_code == 200, f"{response.status_code} {response.text[:100]}")
    expect(SPOKEN in response.text.lower(), "another text")


def subtitle_edit(target: Target) -> None:
    fields = [WHISPER_1, ("language", "en"), ("response_format", "json"), *BOTH_TIMES]
    part = ("file", "clip.wav", "audio/wav")
    answer = answered(target.post(fields, file=target.wav, part=part))
    expect_cues(answer.get("segments") or [], str(answer.get("text")))


def subtitle_edit_stream(target: Target) -> None:
    fields = [("language", "en"), ("response_format", "json"), *BOTH_TIMES]
    text, cues = subtitle_edit_reads(target.events(fields))
    expect_cues(cues, text)


def subtitle_edit_reads(events: list[Event]) -> tuple[str, list[dict[str, Any]]]:
    """`ParseSseStreamAsync`: events go by their `event:` line; JSON that does not fit is dropped.

    Returns:
        the text of the deltas, and the segments: those of `done`, or those that come in a
        `segment` of their own; one without times if there are none.
    """
    text, cues = "", list[dict[str, Any]]()
    for event in events:
        data = event.json
        if event.name == "transcript.text.delta" and isinstance(data.get("segment_id", 0), int):
            text += data.get("delta") or ""
        elif event.name == "transcript.text.done":
            if not cues:
                cues += [each for each in data.get("segments") or [] if fits(each)]
            if not cues and data.get("text") and text:
                cues.append({"id": 0, "start": 0.0, "end": 0.0, "text": text.strip()})
        elif event.name in ("transcript.segment", "transcript.text.segment"):
            cues += [each for each in [data.get("segment")] if each and fits(each)]
    return text.strip(), cues


def fits(segment: dict[str, Any]) -> bool:
    """Whether C#'s type takes it: numbers where it has numbers."""
    whole = isinstance(segment.get("id", 0), int)
    return whole and all(
        isinstance(segment.get(each, 0.0), (int, float)) for each in ("start", "end")
    )


def expect_cues(cues: list[dict[str, Any]], text: str) -> None:
    """Subtitles with times."""
    expect(SPOKEN in text.lower(), f"another text: {text[:60]!r}")
    expect(cues, "no segments")
    expect(all(fits(each) for each in cues), f"a segment that its types refuse: {cues[0]}")
    expect(all(each["start"] < each["end"] for each in cues), "segments without times")


def speakr(target: Target) -> None:
    fields = [("model", "gpt-4o-transcribe-diarize"), ("chunking_strategy", "auto"),
              ("response_format", "diarized_json")]  # fmt: skip
    answer = answered(target.post(fields))
    for segment in answer.get("segments") or []:
        missing = {"speaker", "text", "start", "end"} - set(segment)
        expect(not missing, f"a segment without {', '.join(sorted(missing))}")
    expect(answer.get("segments"), "no segments")


def speakr_models(target: Target) -> None:
    names = [model["id"] for model in answered(target.get("/v1/models"))["data"]]
    expect(any("transcribe" in name or "whisper" in name for name in names), f"names: {names}")


def bazarr(target: Target) -> None:
    params = {"task": "transcribe", "language": "en", "output": "srt", "encode": "false"}
    response = target.post((), "/asr", file=target.samples, part=AUDIO_FILE, params=params)
    expect(response.status_code == 200, f"{response.status_code} {response.text[:100]}")
    expect("-->" in response.text and SPOKEN in response.text.lower(), response.text[:80])


def bazarr_detects(target: Target) -> None:
    params = {"encode": "false"}
    response = target.post(
        (), "/detect-language", file=target.samples, part=AUDIO_FILE, params=params
    )
    answer = answered(response)
    expect(answer.get("language_code") == "en", f"language_code {answer.get('language_code')!r}")
    name = str(answer.get("detected_language"))
    expect(name.lower() == "english", f"detected_language {name!r}")


def subgen(target: Target) -> None:
    params = {"task": "translate", "language": "en", "output": "srt", "encode": "false",
              "video_file": "/tv/a show/episode.mkv"}  # fmt: skip
    response = target.post((), "/asr", file=target.samples, part=AUDIO_FILE, params=params)
    expect(response.status_code == 200, f"{response.status_code} {response.text[:100]}")
    expect("-->" in response.text, f"no subtitles: {response.text[:80]}")


def speakr_asr(target: Target) -> None:
    """As speakr is set up out of the box: with speakers."""
    params = {"encode": "true", "task": "transcribe", "output": "json", "language": "en",
              "diarize": "true", "enable_diarization": "true", "min_speakers": "1",
              "max_speakers": "4", "initial_prompt": "A speech.", "hotwords": "Kennedy, Boston",
              "model": "large-v3"}  # fmt: skip
    part = ("audio_file", "clip.ogg", "audio/ogg")
    answer = json.loads(answered_text(target, params, part))
    expect(isinstance(answer.get("text"), str), "text is no string")
    expect(answer.get("language") == "en", f"language {answer.get('language')!r}")
    for segment in answer.get("segments") or []:
        missing = {"speaker", "text", "start", "end"} - set(segment)
        expect(not missing, f"a segment without {', '.join(sorted(missing))}")
    expect(answer.get("segments"), "no segments")


def webservice_formats(target: Target) -> None:
    heads = {"txt": "", "vtt": "WEBVTT", "srt": "1", "tsv": "start\tend\ttext"}
    for output, head in heads.items():
        text = answered_text(target, {"output": output}, ("audio_file", "clip.ogg", "audio/ogg"))
        expect(text.startswith(head) and SPOKEN in text.lower(), f"{output}: {text[:60]!r}")


def answered_text(target: Target, params: dict[str, str], part: tuple[str, str, str]) -> str:
    """The body of a good answer of /asr."""
    response = target.post((), "/asr", part=part, params=params)
    expect(response.status_code == 200, f"{response.status_code} {response.text[:100]}")
    return response.text


def whisper_cpp(target: Target) -> None:
    fields = [("temperature", "0.0"), ("temperature_inc", "0.2")]
    part = ("file", "clip.wav", "audio/wav")
    for response_format in ("json", "verbose_json"):
        form = [*fields, ("response_format", response_format)]
        answer = answered(target.post(form, "/inference", file=target.wav, part=part))
        expect(SPOKEN in str(answer.get("text")).lower(), f"{response_format}: another text")
    srt = target.post([*fields, ("response_format", "srt")], "/inference", file=target.wav)
    expect("-->" in srt.text, f"srt: {srt.text[:60]!r}")


OPEN_WEBUI = "open-webui/open-webui @01fb3e4 `audio.py`"
HOME_ASSISTANT = "einToast/openai_stt_ha (Home Assistant) @b44e07a `http_client.py`"
N8N = "n8n-io/n8n @8bd7c56 `transcribe.operation.ts`"
WYOMING = "roryeckel/wyoming_openai @071fdc4 `handler.py`"
VIBE = "thewh1teagle/vibe @18160c2 `sona/mod.rs`"
SUBTITLE_EDIT = "SubtitleEdit/subtitleedit @0e43f28 `OpenAiSttService.cs`"
SPEAKR = "murtaza-nasir/speakr @085dcba `openai_transcribe.py`"
SPEAKR_ASR = "murtaza-nasir/speakr @085dcba `asr_endpoint.py`"
BAZARR = "morpheus65535/bazarr @1029a81 `whisperai.py`"
SUBGEN = "callers of McCloudS/subgen @01e4d65 `subgen.py`"
ROWS = (
    Row("openai", OPEN_WEBUI, "`text`; `error.message`", open_webui),
    Row("openai", HOME_ASSISTANT, "an empty prompt; languages tl, fil, nb", home_assistant),
    Row("openai", N8N, "the file last", n8n),
    Row("openai", WYOMING, "deltas", wyoming_openai),
    Row("openai", VIBE, "no model, octets, whisper.cpp's fields", vibe),
    Row("openai", SUBTITLE_EDIT, "json and granularities: segments with times", subtitle_edit),
    Row("openai", SUBTITLE_EDIT, "the same as a stream", subtitle_edit_stream),
    Row("openai", SPEAKR, "speakers", speakr),
    Row("openai", SPEAKR, "a model of a name that it shows", speakr_models),
    Row("webservice", BAZARR, "`/asr`: srt of samples", bazarr),
    Row("webservice", BAZARR, "`/detect-language` of samples", bazarr_detects),
    Row("webservice", SUBGEN, "`/asr` with video_file", subgen),
    Row("webservice", SPEAKR_ASR, "`/asr`: json with speakers", speakr_asr),
    Row("webservice", "A-29", "txt, vtt, srt, tsv", webservice_formats),
    Row("whisper.cpp", "A-30", "`/inference`: json, verbose_json, srt", whisper_cpp),
)
