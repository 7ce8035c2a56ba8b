"""A server of OpenAI's audio API without models, which breaks the rules that a test wants."""

from __future__ import annotations

import email.parser
import email.policy
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

TEXT = "Ask what you can do for your country."
WORDS = [{"word": word, "start": n / 2, "end": n / 2 + 0.4} for n, word in enumerate(TEXT.split())]
SEGMENT = {
    "id": 0, "seek": 0, "start": 0.0, "end": 4.0, "text": f" {TEXT}", "tokens": [1029, 437],
    "temperature": 0.0, "avg_logprob": -0.3, "compression_ratio": 1.1, "no_speech_prob": 0.02,
}  # fmt: skip
TURN = {
    "type": "transcript.text.segment", "id": "seg_001", "start": 0.0, "end": 4.0, "text": TEXT,
    "speaker": "A",
}  # fmt: skip
SRT = f"1\n00:00:00,000 --> 00:00:04,000\n{TEXT}\n"
VTT = f"WEBVTT\n\n00:00.000 --> 00:04.000\n{TEXT}\n"
TSV = f"start\tend\ttext\n0\t4000\t{TEXT}\n"
RENDERINGS = {
    "text": ("text/plain; charset=utf-8", f"{TEXT}\n"), "txt": ("text/plain", f"{TEXT}\n"),
    "srt": ("application/x-subrip", SRT), "vtt": ("text/vtt", VTT), "tsv": ("text/plain", TSV),
}  # fmt: skip
MODEL = {"id": "whisper-1", "object": "model", "created": 1, "owned_by": "nobody"}
KNOWN = {
    "model", "language", "prompt", "temperature", "response_format", "stream",
    "timestamp_granularities", "chunking_strategy",
}  # fmt: skip
ALLOWED = {
    "response_format": ("json", "verbose_json", "diarized_json", "text", "srt", "vtt"),
    "language": ("en", "tl", "fil", "nb"),
    "stream": ("true", "1", "on", "false", "0", "off"),
    "timestamp_granularities": ("word", "segment"),
    "chunking_strategy": ("auto", '{"type": "server_vad"}', "server_vad", "0.5"),
    "temperature": ("0", "0.2", "0.0"),
}


@dataclass
class Answer:
    """What goes back."""

    status: int = 200
    body: object = ""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


def refusal(status: int, message: str, param: str | None = None) -> Answer:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": "bad"}
    return Answer(status, {"error": error})


def transcription(path: str, given: list[tuple[str, str]], audio: bytes | None) -> Answer:
    """The answer to a form."""
    plain = [(name.partition("[")[0], value) for name, value in given]
    bad = [name for name, value in plain if value not in ALLOWED.get(name, (value,))]
    if bad:
        return refusal(400, f"{bad[0]}: not one of those allowed", bad[0])
    if not audio or audio.startswith(b"no recording"):
        return refusal(400, "file: no audio", "file")
    fields = dict(plain)
    kind = fields.get("response_format", "json")
    times = {value for name, value in plain if name == "timestamp_granularities"}
    unknown = [name for name in fields if name not in KNOWN]
    if fields.get("stream") in ("true", "1", "on"):
        if kind in RENDERINGS:
            return refusal(400, "response_format: not streamed", "response_format")
        return Answer(200, stream(kind, times), "text/event-stream", {"cache-control": "no-store"})
    if kind in RENDERINGS:
        content_type, text = RENDERINGS[kind]
        return Answer(200, text, content_type, {"x-warnings": ", ".join(unknown)})
    return Answer(200, {**spoken(kind, times), "warnings": unknown})


def spoken(kind: str, times: set[str]) -> dict[str, object]:
    """A transcript as JSON."""
    answer: dict[str, object] = {"text": TEXT, "usage": {"type": "duration", "seconds": 4}}
    if kind == "diarized_json":
        head = {"task": "transcribe", "duration": 4.0, "text": f"A: {TEXT}"}
        return {**answer, **head, "segments": [TURN]}
    if kind == "verbose_json":
        answer |= {"task": "transcribe", "language": "english", "duration": 4.0}
        times = times or {"segment"}
    if "segment" in times:
        answer["segments"] = [SEGMENT]
    if "word" in times:
        answer["words"] = WORDS
    return answer


def stream(kind: str, times: set[str]) -> str:
    """A transcript as events."""
    done = {**spoken(kind, times), "text": TEXT}
    del done["usage"]
    segments = {"verbose_json": [SEGMENT], "diarized_json": [TURN]}.get(kind, [])
    events = [
        {"type": "transcript.text.delta", "delta": TEXT},
        *({**segment, "type": "transcript.text.segment"} for segment in segments),
        {**done, "type": "transcript.text.done"},
    ]
    messages = [f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in events]
    return "".join([": hello\n\n", *messages, "data: [DONE]\n\n"])


def webservice(path: str, query: dict[str, str]) -> Answer:
    """The answer of /asr and /detect-language."""
    if path == "/detect-language":
        return Answer(200, {"detected_language": "english", "language_code": "en"})
    output = query.get("output", "txt")
    if output in RENDERINGS:
        return Answer(200, RENDERINGS[output][1], "text/plain")
    segments = [{**SEGMENT, "speaker": "A"}]
    return Answer(200, {"text": TEXT, "language": "en", "segments": segments})


Break = Callable[[Answer], None]


class StandIn(ThreadingHTTPServer):
    """Serves in a thread; `spoil` changes each answer before it leaves."""

    def __init__(self, spoil: Break = lambda answer: None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.spoil = spoil
        self.url = f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> StandIn:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StandIn

    def log_message(self, *arguments: object) -> None:
        """Nothing."""

    def handle_expect_100(self) -> bool:
        if int(self.headers["content-length"]) < 2**30:
            return super().handle_expect_100()
        self.close_connection = True
        self.say(refusal(413, "too large"))
        return False

    def do_GET(self) -> None:
        answers = {
            "/v1/models": Answer(200, {"object": "list", "data": [MODEL]}),
            "/v1/models/whisper-1": Answer(200, MODEL),
            "/v1/limits": Answer(200, {"max_file_bytes": 2**30}),
        }
        wrong = refusal(405, "POST alone")
        wrong.headers["allow"] = "POST"
        answers["/v1/audio/transcriptions"] = wrong
        self.say(answers.get(self.path, refusal(404, "unknown")))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        content_type = self.headers["content-type"]
        if not content_type.startswith("multipart/form-data"):
            self.say(refusal(415, "no form"))
            return
        fields, audio = read_form(content_type, body)
        url = urlsplit(self.path)
        if url.path in ("/asr", "/detect-language"):
            self.say(webservice(url.path, dict(parse_qsl(url.query))))
        else:
            self.say(transcription(url.path, fields, audio))

    def say(self, answer: Answer) -> None:
        self.server.spoil(answer)
        body = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
        self.send_response(answer.status)
        self.send_header("content-type", answer.content_type)
        self.send_header("content-length", str(len(body.encode())))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())


def read_form(content_type: str, body: bytes) -> tuple[list[tuple[str, str]], bytes | None]:
    """Fields in order, and the file."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    fields, audio = list[tuple[str, str]](), None
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if part.get_filename() is not None:
            audio = content
        else:
            fields.append((str(name), content.decode().strip()))
    return fields, audio
