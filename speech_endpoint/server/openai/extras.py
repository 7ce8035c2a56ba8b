"""What is ours in an answer in JSON, streamed or not, for who asks for it."""

from __future__ import annotations

from typing import Any

from speech_endpoint.audio.peaks import waveform_json
from speech_endpoint.output.response import known_speakers
from speech_endpoint.output.response import to_json as to_host_json
from speech_endpoint.server.openai.fields import AudioOptions
from speech_endpoint.transcript import Transcript


def extras(transcript: Transcript, options: AudioOptions) -> dict[str, Any]:
    """The keys that `include[]` asks for, beside logprobs, and what has become of known names.

    Args:
        transcript: speakers are called as they shall be.
        options: what is asked for.
    """
    added: dict[str, Any] = {}
    if names := options.include & {"speakers", "timings"}:
        words = "word" in options.granularities
        config = options.config.model_copy(update={"return_timestamps": "word" if words else True})
        ours = to_host_json(transcript, config)
        added = {name: ours[name] for name in names}
    if transcript.known_speakers:
        added["known_speakers"] = known_speakers(transcript)
    if "waveform" in options.include:
        added["waveform"] = waveform_json(transcript.peaks)
    return added
