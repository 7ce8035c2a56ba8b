"""What goes before decoding: a request is checked, and its recording cut to windows.

It takes a model's tokens, and not its weights, which may lie on another machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from torch import Tensor

from speech_endpoint.audio.vad import SileroVAD, pad_segments, speech_segments
from speech_endpoint.audio.windows import pack_windows
from speech_endpoint.config import InferenceConfig
from speech_endpoint.errors import InvalidRequest
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Waveform
from speech_endpoint.transcription.prompt import encode_prompt
from speech_endpoint.transcription.recording import DetectedSpeech, RecordingDecoder
from speech_endpoint.units import Units
from speech_endpoint.whisper.batching.sequence import Caller, DecodeOptions, RequestGroup
from speech_endpoint.whisper.tokenizer import Tokenizer

Hold: TypeAlias = "Callable[[Waveform], Waveform | Tensor]"


class Opener:
    """Cuts recordings to windows for one model."""

    def __init__(
        self, tokenizer: Tokenizer, vad: SileroVAD, *, hold: Hold, has_draft: bool
    ) -> None:
        """
        Args:
            tokenizer: the model's.
            vad: finds speech.
            hold: puts a recording where its windows are read from.
            has_draft: whether a model drafts for those who wish it.
        """
        self.tokenizer, self.vad = tokenizer, vad
        self._hold, self._has_draft = hold, has_draft

    def open(
        self, waveform: Waveform, config: InferenceConfig, caller: Caller | None = None
    ) -> Units[RecordingDecoder]:
        """Find a recording's speech and cut it to windows, for an engine to decode.

        Args:
            waveform: (samples,), float32, 16 kHz.
            config: what is wanted.
            caller: whose it is; None: somebody's who has no other recording.

        Raises:
            InvalidRequest: a parameter that this model cannot serve.
        """
        self.check(config)
        duration_s = waveform.size / SAMPLE_RATE_HZ
        samples = self._hold(waveform)
        probabilities = yield from self.vad.stream(samples)
        segments = speech_segments(probabilities, duration_s)
        windows = pack_windows(
            pad_segments(segments, duration_s), probabilities, config.chunk_length_s
        )
        options, warnings = self._options(config)
        return RecordingDecoder(
            DetectedSpeech(samples, probabilities, segments),
            windows,
            config.chunk_length_s,
            RequestGroup(options, caller or Caller()),
            self.tokenizer,
            warnings,
        )

    def check(self, config: InferenceConfig) -> None:
        """Raise InvalidRequest for what this model cannot do."""
        if config.assisted and not self._has_draft:
            raise InvalidRequest(
                "parameters.assisted",
                "unavailable",
                "true needs a drafting model; set ASSISTANT_MODEL on the endpoint",
            )
        tokenizer = self.tokenizer
        if not tokenizer.multilingual:
            if config.task == "translate":
                raise InvalidRequest(
                    "parameters.task",
                    "unavailable",
                    "'translate' needs a multilingual model; this one knows English only",
                )
        elif config.task not in tokenizer.tasks:
            raise InvalidRequest(
                "parameters.task", "unavailable", f"this model has no token for {config.task!r}"
            )
        self._check_languages("language", (config.language,) if config.language else ())
        self._check_languages("languages", config.languages or ())

    def _check_languages(self, field: str, codes: Sequence[str]) -> None:
        tokenizer = self.tokenizer
        known = tokenizer.languages if tokenizer.multilingual else ("en",)
        for code in codes:
            if code not in known:
                reason = (
                    f"this model does not know {code!r}"
                    if tokenizer.multilingual
                    else f"{code!r} needs a multilingual model; this one knows English only"
                )
                raise InvalidRequest(f"parameters.{field}", "unavailable", reason)

    def _options(self, config: InferenceConfig) -> tuple[DecodeOptions, list[str]]:
        """A request's options for its windows, and warnings about them."""
        prompt_tokens, warnings = encode_prompt(
            config.prompt or "", self.tokenizer, config.keywords
        )
        options = DecodeOptions(
            language=config.language,
            languages=config.languages or (),
            task=config.task,
            prompt_tokens=tuple(prompt_tokens),
            # A draft of what is drawn at random would be accepted by chance.
            assisted=config.assisted and not config.temperature,
            temperature=config.temperature,
        )
        return options, warnings
