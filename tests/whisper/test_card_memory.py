"""What large models take of a GPU's memory, counted from shapes: no number is computed."""

from __future__ import annotations

import pytest
import torch

from benchmarks.gpu.models import DISTIL, LARGE_V3, TURBO, random_checkpoint
from speech_endpoint.transcription.transcriber import DIARIZATION_BYTES
from speech_endpoint.whisper.backends.base import Backend
from speech_endpoint.whisper.checkpoint.published import Sizes
from speech_endpoint.whisper.model.decoder import Decoder
from speech_endpoint.whisper.model.encoder import Encoder

pytestmark = pytest.mark.pure
META = torch.device("meta")
MIB = 2**20
# What an L4 reports, less what CUDA's libraries take of it.
CARD_BYTES = 23_034 * MIB - 500 * MIB


def n_bytes(part: object, seen: set[int]) -> int:
    """Of all tensors that an object holds, each counted once."""
    if id(part) in seen:
        return 0
    seen.add(id(part))
    if isinstance(part, torch.Tensor):
        return part.nbytes
    if isinstance(part, (list, tuple)):
        return sum(n_bytes(item, seen) for item in part)
    inner = vars(part).values() if type(part).__module__.startswith("speech_endpoint.") else ()
    return sum(n_bytes(item, seen) for item in inner)


class Card(Backend):
    """A GPU with a model on it."""

    weight_bytes = 0

    def free_bytes(self) -> int:
        return CARD_BYTES - self.weight_bytes


def decoder_on_a_card(*models: Sizes) -> Decoder:
    """The first model's decoder, beside the others, which share its encoder."""
    backend = Card(META, torch.float16)
    checkpoints = [random_checkpoint(sizes, META) for sizes in models]
    networks = [Encoder(checkpoints[0], backend)]
    decoders = [Decoder(checkpoint, backend) for checkpoint in checkpoints]
    seen: set[int] = {id(backend)}
    backend.weight_bytes = sum(n_bytes(network, seen) for network in [*networks, *decoders])
    return decoders[0]


def test_24_windows_of_large_v3_its_draft_model_and_speakers_fit_24_gb() -> None:
    decoder = decoder_on_a_card(LARGE_V3, DISTIL)
    backend = decoder.backend
    slot_bytes = decoder.slot_bytes + Decoder(random_checkpoint(DISTIL, META), backend).slot_bytes
    backend.reserved_bytes += DIARIZATION_BYTES
    assert backend.slots_that_fit(24, slot_bytes) == 24
    assert backend.slots_that_fit(64, slot_bytes) < 64


def test_what_large_v3_takes_is_what_its_shapes_say() -> None:
    decoder = decoder_on_a_card(LARGE_V3)
    assert decoder.slot_bytes == pytest.approx(319e6, rel=0.01)
    assert CARD_BYTES - decoder.backend.free_bytes() == pytest.approx(3.2e9, rel=0.05)
    assert 48 <= decoder.backend.slots_that_fit(64, decoder.slot_bytes) < 64


def test_turbo_has_room_for_more_windows_than_anyone_asks_for() -> None:
    decoder = decoder_on_a_card(TURBO)
    assert decoder.backend.slots_that_fit(256, decoder.slot_bytes) == 256
