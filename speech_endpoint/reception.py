"""A request, and what of its service needs no weights of Whisper."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from speech_endpoint.audio.decoding.file_decoder import DecodingOptions
from speech_endpoint.audio.decoding.sandbox import AudioDecoder, DecodedAudio
from speech_endpoint.audio.payload import check_type, payload_bytes
from speech_endpoint.config import InferenceConfig, ModelSettings
from speech_endpoint.errors import InvalidRequest
from speech_endpoint.identification import FIELD, SpeakerFinder, bad_reference, check_known
from speech_endpoint.memory import FreedMemory
from speech_endpoint.parameters import warn_of_unknown
from speech_endpoint.recognition import (
    ChannelRecognition,
    Clip,
    MixRecognition,
    Recognition,
    VoiceRecognition,
)
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Waveform
from speech_endpoint.transcription.opening import Opener
from speech_endpoint.voices.references import MAX_CLIP_S, is_voiceprint

MAX_CLIPS_S = 600.0
"""Of all the clips of a request together."""


@dataclass(frozen=True)
class Request:
    """Audio, and what is wanted of it."""

    inputs: bytes | str
    """An audio file's bytes, or their base64 text."""
    config: InferenceConfig
    warnings: tuple[str, ...] = ()
    """About the parameters."""
    wants: Literal["text", "speakers", "language"] = "text"
    """Who spoke when, or the language of the first window of speech, are had without text from a
    service; `SpeechPipeline.run` transcribes anyway."""
    outline: bool = False
    """Whether `Transcript.peaks` are wanted."""
    clip: Clip | None = None
    """Of which a voiceprint is made, instead of a transcript."""

    @property
    def needs_voices(self) -> bool:
        """Whether voices are to be embedded or compared."""
        return bool(self.config.known_speakers) or self.clip is not None

    @classmethod
    def from_host(cls, data: Any) -> Request:
        """A request as the host hands it over: {"inputs": …, "parameters": {…}}.

        Raises:
            InvalidRequest: no inputs, or parameters that are not allowed; of inputs, that they are
                bytes or text is all that is looked at.
        """
        if not isinstance(data, dict) or data.get("inputs") is None:
            raise InvalidRequest(
                "inputs",
                "missing",
                'missing; send {"inputs": <base64 audio>, "parameters": {…}} or the audio\'s bytes',
            )
        check_type(data["inputs"])
        config, warnings = InferenceConfig.from_parameters(data.get("parameters"))
        warnings += warn_of_unknown("request: unknown key", data, ("inputs", "parameters"))
        return cls(data["inputs"], config, tuple(warnings))


class Reception:
    """What of a request needs no weights of Whisper: those may lie on another machine."""

    def __init__(
        self, settings: ModelSettings, transcriber: Opener, diarizer: SpeakerFinder | None
    ) -> None:
        """
        Args:
            settings: limits of a request.
            transcriber: cuts recordings to windows.
            diarizer: finds speakers; None where nobody does.
        """
        self.settings, self.transcriber, self.diarizer = settings, transcriber, diarizer
        self.decoder = AudioDecoder()
        self._freed_memory = FreedMemory()

    def decode(self, request: Request) -> DecodedAudio:
        """The request's audio; may be called from any thread.

        Raises:
            InvalidRequest: it cannot be decoded, or is larger or longer than the limits.
        """
        config = request.config
        # Clips first: they are short, and a bad one is soon refused.
        clips = self._clips(config)
        audio = self.decoder(
            payload_bytes(request.inputs, self._max_payload_bytes),
            DecodingOptions(
                max_audio_s=self.settings.max_audio_s,
                pcm_rate_hz=config.sampling_rate,
                apart=config.channels == "speakers",
                audio_track=config.audio_track,
            ),
        )
        return replace(audio, clips=clips)

    def _clips(self, config: InferenceConfig) -> tuple[Waveform, ...]:
        """The clips of known voices, decoded."""
        clips, total_s = [], 0.0
        for number, known in enumerate(config.known_speakers, start=1):
            if is_voiceprint(known.reference):
                continue
            left_s = min(MAX_CLIP_S, MAX_CLIPS_S - total_s)
            try:
                payload = payload_bytes(known.reference, self._max_payload_bytes)
                audio = self.decoder(payload, DecodingOptions(max_audio_s=left_s))
            except InvalidRequest as error:
                raise bad_reference(number, error.message, error.code) from None
            clips.append(audio.channels[0])
            total_s += clips[-1].size / SAMPLE_RATE_HZ
        return tuple(clips)

    @property
    def _max_payload_bytes(self) -> int:
        return self.settings.max_payload_mb * 2**20

    def recognition(self, audio: DecodedAudio, request: Request) -> Recognition:
        """How words and speakers of this audio are found."""
        if request.clip is not None and self.diarizer is not None:
            return VoiceRecognition(audio, request.clip, self.diarizer)
        if request.config.channels == "speakers":
            return ChannelRecognition(audio)
        without_words = request.wants == "speakers"
        return MixRecognition(audio, request.config, self.diarizer, without_words=without_words)

    @property
    def compares_voices(self) -> bool:
        """Whether its diarizer, if there is one, has embeddings that can be compared."""
        return self.diarizer is None or self.diarizer.embedding_model is not None

    def hand_back_memory(self) -> None:
        """Give the system what a finished request has left."""
        self._freed_memory.hand_back()

    def check(self, request: Request) -> None:
        """Raise InvalidRequest for what the models of this endpoint cannot do."""
        config = request.config
        if request.needs_voices:
            self._check_voices(config)
        if config.diarize and self.diarizer is None:
            raise InvalidRequest(
                "parameters.diarize",
                "unavailable",
                "true needs a diarization model; set DIARIZATION_MODEL on the endpoint",
            )
        self.transcriber.check(config)

    def _check_voices(self, config: InferenceConfig) -> None:
        if self.settings.disable_speaker_id:
            raise InvalidRequest(
                FIELD, "unavailable", "this endpoint recognises nobody (DISABLE_SPEAKER_ID)"
            )
        model = None if self.diarizer is None else self.diarizer.embedding_model
        check_known(config.known_speakers, model)
