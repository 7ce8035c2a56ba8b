"""Known speakers in OpenAI's two lists, and the route that makes voiceprints for them."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from speech_endpoint.config import InferenceConfig
from speech_endpoint.errors import InvalidRequest, quoted
from speech_endpoint.output.openai_shapes import VoiceprintJson
from speech_endpoint.reception import Request
from speech_endpoint.recognition import Clip
from speech_endpoint.server.uploads.form import Form
from speech_endpoint.server.work import Desk
from speech_endpoint.transcript import EnrolledVoice
from speech_endpoint.voices.references import MAX_REFERENCES, checked_name, checked_reference

NAMES, REFERENCES = "known_speaker_names", "known_speaker_references"
GOOD_SPEECH_S = 5.0
"""Less is said to be little."""


def known_speakers(names: Sequence[str], references: Sequence[str]) -> list[dict[str, str]]:
    """`known_speakers` of a request.

    Args:
        names: one for each reference; the same one for several clips of a person.
        references: data URLs, base64 or voiceprints.

    Raises:
        InvalidRequest: naming the list and which of it is wrong.
    """
    if len(names) != len(references):
        raise _invalid(
            REFERENCES,
            f"{len(references):,} for {len(names):,} {NAMES}; give one reference for each name",
        )
    if len(names) > MAX_REFERENCES:
        raise _invalid(NAMES, f"at most {MAX_REFERENCES} are allowed (got {len(names):,})")
    known = []
    for number, (name, reference) in enumerate(zip(names, references, strict=True), start=1):
        field = NAMES
        try:
            entry = {"name": checked_name(name)}
            field = REFERENCES
            entry["reference"] = checked_reference(reference)
        except ValueError as error:
            raise _invalid(field, f"entry {number}: {error}") from None
        known.append(entry)
    return known


class Voiceprints:
    """`POST /v1/audio/voiceprints`: a clip in, a voiceprint out, and nothing kept."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; raises what `errors.to_api_error` knows."""
        request = HttpRequest(scope, receive)
        with self.desk.budget.account() as account:
            form = await self.desk.form(request, account)
            if form.file is None:
                raise _invalid("file", "missing; send the audio file in it", "missing")
            clip = Clip(_seconds(form, "start") or 0.0, _seconds(form, "end"))
            speech = Request(form.file, InferenceConfig(), tuple(form.warnings), clip=clip)
            transcript = await self.desk.transcript(request, speech)
            assert transcript.enrolled is not None
            answer = voiceprint_json(transcript.enrolled, transcript.warnings)
            # No cache on the way may keep it.
            headers = {"cache-control": "no-store"}
            await JSONResponse(answer, headers=headers)(scope, receive, send)


def voiceprint_json(voice: EnrolledVoice, warnings: Sequence[str]) -> VoiceprintJson:
    """The answer."""
    if voice.speech_s < GOOD_SPEECH_S:
        little = f"{voice.speech_s:.1f} s of speech are little; 10 to 30 s are best"
        warnings = [*warnings, little]
    return VoiceprintJson(
        object="voiceprint",
        voiceprint=voice.voiceprint,
        model=voice.model,
        seconds_of_speech=round(voice.speech_s, 3),
        voices=voice.n_voices,
        warnings=list(warnings),
    )


def _seconds(form: Form, name: str) -> float | None:
    text = (form.text(name) or "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise _invalid(name, f"expected seconds from 0 on (got {quoted(text)})")
    return seconds


def _invalid(name: str, message: str, code: str = "invalid_value") -> InvalidRequest:
    return InvalidRequest(f"parameters.{name}", code, message)
