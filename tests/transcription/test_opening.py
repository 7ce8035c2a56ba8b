"""Recordings are cut to windows alike with a model's weights and without them."""

from __future__ import annotations

import shutil
from pathlib import Path

from paths import KENNEDY, MODELS

from speech_endpoint.audio.decoding.decode import decode_audio
from speech_endpoint.audio.vad import SileroVAD
from speech_endpoint.config import InferenceConfig
from speech_endpoint.transcription.opening import Opener
from speech_endpoint.units import finish
from speech_endpoint.whisper.checkpoint import load_checkpoint
from speech_endpoint.whisper.tokenizer import Tokenizer


def test_a_recording_is_opened_where_there_are_no_weights(tmp_path: Path) -> None:
    model = tmp_path / "tokens"
    no_weights = shutil.ignore_patterns("*.safetensors", "*.bin")
    shutil.copytree(MODELS / "whisper-base", model, ignore=no_weights)
    checkpoint = load_checkpoint(str(model), weightless=True)
    opener = Opener(
        Tokenizer(checkpoint), SileroVAD(), hold=lambda waveform: waveform, has_draft=False
    )
    waveform = decode_audio(KENNEDY.read_bytes(), 16_000, 60.0).reshape(-1)
    recording = finish(opener.open(waveform, InferenceConfig(prompt="Kennedy")))
    (request,) = recording.requests()
    assert 8.0 < request.duration_s <= 11.0
    assert opener.tokenizer.decode(request.group.options.prompt_tokens).strip() == "Kennedy"
