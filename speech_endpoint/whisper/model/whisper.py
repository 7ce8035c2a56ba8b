"""One Whisper, ready to decode windows."""

from __future__ import annotations

from dataclasses import dataclass

from speech_endpoint.whisper.backends.base import Backend
from speech_endpoint.whisper.checkpoint import Checkpoint
from speech_endpoint.whisper.logit_rules import LogitRules
from speech_endpoint.whisper.model.decoder import Decoder
from speech_endpoint.whisper.model.encoder import Encoder
from speech_endpoint.whisper.model.features import LogMel
from speech_endpoint.whisper.tokenizer import Tokenizer


@dataclass(frozen=True)
class WhisperModel:
    """The parts of a model that decoding needs, on one device."""

    log_mel: LogMel
    encoder: Encoder
    decoder: Decoder
    tokenizer: Tokenizer
    rules: LogitRules

    @classmethod
    def from_checkpoint(
        cls, checkpoint: Checkpoint, backend: Backend, encoder: Encoder | None = None
    ) -> WhisperModel:
        """Build the networks of a checkpoint.

        Args:
            checkpoint: the weights.
            backend: what they run on.
            encoder: another model's, where both are the same; None builds one.
        """
        tokenizer = Tokenizer(checkpoint)
        encoder = encoder or Encoder(checkpoint, backend)
        decoder = Decoder(checkpoint, backend)
        # Of the float32 forms that weights had for a moment.
        backend.release_memory()
        return cls(
            log_mel=LogMel(checkpoint.config.num_mel_bins, backend.device),
            encoder=encoder,
            decoder=decoder,
            tokenizer=tokenizer,
            rules=LogitRules(tokenizer, backend.device),
        )

    @property
    def backend(self) -> Backend:
        return self.decoder.backend
