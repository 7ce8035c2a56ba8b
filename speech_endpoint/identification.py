"""Known voices: from clips and voiceprints to the speakers of a recording who have them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from speech_endpoint.diarization.diarizer import Diarizer
from speech_endpoint.errors import InvalidRequest
from speech_endpoint.transcript import (
    EnrolledVoice,
    KnownSpeaker,
    SpeakerTurn,
    Waveform,
)
from speech_endpoint.units import Units
from speech_endpoint.voices.matching import (
    Match,
    Vector,
    voices_by_name,
)
from speech_endpoint.voices.references import Reference, is_voiceprint
from speech_endpoint.voices.voiceprint import (
    EmbeddingModel,
    NoVoiceprint,
    Voiceprint,
    parse,
)

FIELD = "parameters.known_speakers"
MIN_SPEECH_S = 1.0
MAX_SHARE_OF_ANOTHER = 0.2
"""Of a clip's speech: where another voice has more, whose clip it is cannot be told."""


class UnusableClip(ValueError):
    """A clip that no voice can be learnt from; the message says why."""


def check_known(references: Sequence[Reference], model: EmbeddingModel | None) -> None:
    """Refuse, before any work, voiceprints that mean nothing here.

    Raises:
        InvalidRequest: naming the entry.
    """
    if model is None:
        raise InvalidRequest(
            FIELD,
            "unavailable",
            "needs a diarization model that tools/build_models made; leave it out, or set"
            " DIARIZATION_MODEL to one",
        )
    for number, reference in enumerate(references, start=1):
        if is_voiceprint(reference.reference):
            _parsed(number, reference, model)


def known_voices(
    references: Sequence[Reference], clips: Sequence[Waveform], diarizer: Diarizer
) -> Units[dict[str, Vector]]:
    """The voice of each name.

    Args:
        references: of a request, checked.
        clips: the decoded ones of those that are no voiceprints, in order.
        diarizer: embeds voices.

    Raises:
        InvalidRequest: a clip cannot be used.
    """
    waiting, voices = list(clips), []
    for number, reference in enumerate(references, start=1):
        if is_voiceprint(reference.reference):
            voice = _parsed(number, reference, diarizer.embedding_model)
        else:
            try:
                voice, _ = yield from embed_voice(waiting.pop(0), diarizer)
            except UnusableClip as error:
                raise bad_reference(number, str(error)) from None
        voices.append((reference.name, voice.vector))
    return voices_by_name(voices)


def enrol(waveform: Waveform, diarizer: Diarizer) -> Units[EnrolledVoice]:
    """Make a voiceprint of a clip; raises as `embed_voice` does."""
    voice, spoken_s = yield from embed_voice(waveform, diarizer)
    speech_s = max(spoken_s.values())
    return EnrolledVoice(str(voice), voice.model, speech_s, len(spoken_s))


def embed_voice(
    waveform: Waveform, diarizer: Diarizer
) -> Units[tuple[Voiceprint, Mapping[str, float]]]:
    """Embed the voice of a clip as the speakers of a recording are.

    Args:
        waveform: (samples,), mono, 16 kHz.
        diarizer: whose embeddings can be compared.

    Returns:
        The voice, and how long each speaker of the clip talks.

    Raises:
        UnusableClip: too little speech, or of two.
    """
    assert diarizer.embedding_model is not None
    diarization = yield from diarizer.stream(waveform)
    spoken_s = _spoken_s(diarization.exclusive_turns)
    speech_s = sum(spoken_s.values())
    main = max(spoken_s, key=lambda label: spoken_s[label], default=None)
    if main is None or speech_s < MIN_SPEECH_S or main not in diarization.embeddings:
        raise UnusableClip(
            f"{speech_s:.1f} s of speech; at least {MIN_SPEECH_S:g} s are needed, 10 to 30 s are"
            " best"
        )
    if speech_s - spoken_s[main] > MAX_SHARE_OF_ANOTHER * speech_s:
        raise UnusableClip("holds two voices; give a clip of one")
    return Voiceprint.of(diarizer.embedding_model.name, diarization.embeddings[main]), spoken_s


def to_known_speakers(
    matches: Sequence[Match], names: Mapping[str, str], turns: Sequence[SpeakerTurn]
) -> tuple[KnownSpeaker, ...]:
    """What is said of the names.

    Args:
        matches: by the diarization's labels.
        names: what the labels are called in the transcript.
        turns: of all speakers, as they are called.
    """
    spoken_s = _spoken_s(turns)
    return tuple(
        KnownSpeaker(
            each.name,
            each.matched,
            names.get(each.label) if each.label is not None else None,
            each.score,
            spoken_s[each.name] if each.matched else 0.0,
        )
        for each in matches
    )


def bad_reference(number: int, message: str, code: str = "invalid_value") -> InvalidRequest:
    """The error of one reference."""
    return InvalidRequest(FIELD, code, f"entry {number}: reference: {message}")


def _parsed(number: int, reference: Reference, model: EmbeddingModel | None) -> Voiceprint:
    assert model is not None
    try:
        return parse(reference.reference, model)
    except NoVoiceprint as error:
        raise bad_reference(number, str(error)) from None


def _spoken_s(turns: Sequence[SpeakerTurn]) -> dict[str, float]:
    seconds: dict[str, float] = defaultdict(float)
    for turn in turns:
        seconds[turn.speaker] += turn.end - turn.start
    return seconds
