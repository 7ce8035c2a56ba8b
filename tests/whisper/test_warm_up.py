"""What is done before the first caller comes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from paths import MODELS

from speech_endpoint.errors import ModelUnavailable
from speech_endpoint.whisper.backends import choose_backend
from speech_endpoint.whisper.batching.speculation import DraftModel
from speech_endpoint.whisper.checkpoint import Checkpoint, load_checkpoint
from speech_endpoint.whisper.model.whisper import WhisperModel
from speech_endpoint.whisper.warm_up import warm_up

pytestmark = pytest.mark.core


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return load_checkpoint(str(MODELS / "whisper-tiny.en"))


def load(checkpoint: Checkpoint) -> WhisperModel:
    return WhisperModel.from_checkpoint(checkpoint, choose_backend("cpu", "float32", "none"))


class Counted:
    """Notes the shapes that a network has run with."""

    def __init__(self, network) -> None:
        self.network, self.shapes = network, set()

    def __call__(self, log_mel):
        self.shapes.add(len(log_mel))
        return self.network(log_mel)


def test_a_model_runs_alone_and_in_a_batch_before_the_first_caller(checkpoint: Checkpoint) -> None:
    model = load(checkpoint)
    draft = DraftModel(checkpoint, checkpoint, model)
    encoder = Counted(model.encoder)
    warm_up(replace(model, encoder=encoder), draft)
    assert encoder.shapes == {1, 4}


def test_a_model_that_leaves_its_number_format_is_not_served(checkpoint: Checkpoint) -> None:
    name = "model.encoder.layer_norm.bias"
    weights = {**checkpoint.weights, name: torch.full_like(checkpoint.weights[name], torch.inf)}
    with pytest.raises(ModelUnavailable, match=r"too large for float32 on cpu; set DTYPE"):
        warm_up(load(replace(checkpoint, weights=weights)))
