"""In float32 the engine writes what transformers' `generate` writes, token for token."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch
from paths import AUSTEN, KENNEDY, MODELS, PHONE_CALL
from transformers import WhisperFeatureExtractor

from speech_endpoint.audio.decoding.decode import decode_audio
from speech_endpoint.audio.vad import pad_segments, speech_segments
from speech_endpoint.audio.windows import pack_windows
from speech_endpoint.config import ModelSettings
from speech_endpoint.errors import ModelUnavailable
from speech_endpoint.transcription.transcriber import Transcriber
from speech_endpoint.whisper.backends import choose_backend
from speech_endpoint.whisper.batching.draft_length import DraftPolicy
from speech_endpoint.whisper.batching.engine import Engine
from speech_endpoint.whisper.batching.sequence import (
    DecodeOptions,
    DecodeRequest,
    DecodeResult,
    DecodingStatistics,
    RequestGroup,
)
from speech_endpoint.whisper.batching.speculation import DraftModel
from speech_endpoint.whisper.checkpoint import Checkpoint, load_checkpoint
from speech_endpoint.whisper.model.whisper import WhisperModel

FEW_FILES = [PHONE_CALL, KENNEDY, AUSTEN]
# Of each recording so many windows are compared: its first half minute of speech.
MAX_WINDOWS = 1
BATCH_SIZES = [1, 4, 24]
Item = TypeVar("Item")


def make_transcriber(assistant: str) -> Transcriber:
    settings = ModelSettings(
        asr_model=str(MODELS / "whisper-base"),
        assistant_model=assistant,
        dtype="float32",
        quantization="none",
        device="cpu",
    )
    return Transcriber(settings, ".")


@pytest.fixture(scope="module")
def transcriber() -> Transcriber:
    return make_transcriber(str(MODELS / "whisper-base-drafter"))


def cut_windows(transcriber: Transcriber, file: Path, max_window_s: float) -> list[np.ndarray]:
    waveform = decode_audio(file.read_bytes(), 16_000, 3600)
    probabilities = transcriber.vad(waveform)
    duration_s = waveform.size / 16_000
    speech = pad_segments(speech_segments(probabilities, duration_s), duration_s)
    return [
        np.concatenate(window.slices(waveform))
        for window in pack_windows(speech, probabilities, max_window_s)
    ]


@pytest.fixture(scope="module")
def windows(transcriber: Transcriber) -> list[np.ndarray]:
    """Some short, some long: in one batch they end at different times."""
    return [window for file in FEW_FILES for window in cut_windows(transcriber, file, 12.0)]


def results_of(
    transcriber: Transcriber, windows: list[np.ndarray], batch_size: int, assisted: bool = False
) -> tuple[list[DecodeResult], DecodingStatistics]:
    """Each window's result, and what all took; whether drafting pays is not asked of the clock."""
    draft = transcriber.draft if assisted else None
    always = DraftPolicy(max_probe_cost=1.0, fixed_length=4)
    engine = Engine(transcriber.model, min(batch_size, len(windows)), draft, always)
    group = RequestGroup(DecodeOptions(language="en", assisted=assisted))
    for n, window in enumerate(windows):
        engine.add(DecodeRequest(group, n, float(n), (window,), fallback=False))
    found: dict[int, DecodeResult] = {}
    while engine.busy:
        for result in engine.step():
            assert isinstance(result, DecodeResult)
            found[result.request.index] = result
    return [found[n] for n in range(len(windows))], group.statistics


def decode(
    transcriber: Transcriber, windows: list[np.ndarray], batch_size: int, assisted: bool = False
) -> tuple[list[list[int]], DecodingStatistics]:
    results, statistics = results_of(transcriber, windows, batch_size, assisted)
    return [list(result.tokens) for result in results], statistics


@pytest.mark.core
def test_tokens_equal_generate(transcriber: Transcriber) -> None:
    check_against_generate(transcriber, FEW_FILES, 30.0)


def test_tokens_equal_generate_on_every_recording(transcriber: Transcriber, data: Path) -> None:
    files = sorted(data.glob("conversations/*.flac"))
    assert check_against_generate(transcriber, files, 10.0) >= len(files)


def check_against_generate(transcriber: Transcriber, files: list[Path], max_window_s: float) -> int:
    """Fail at the first token that differs, in any window; the number of windows."""
    from transformers import WhisperForConditionalGeneration

    network = WhisperForConditionalGeneration.from_pretrained(MODELS / "whisper-base").eval()
    extractor = WhisperFeatureExtractor.from_pretrained(MODELS / "whisper-base")
    tokenizer = transcriber.model.tokenizer
    initial = {*tokenizer.initial_tokens("en", "transcribe"), tokenizer.eot}
    windows = [
        (file.name, window)
        for file in files
        for window in cut_windows(transcriber, file, max_window_s)[:MAX_WINDOWS]
    ]
    for some in batched(windows, 8):
        waveforms = [window for _, window in some]
        results, _ = results_of(transcriber, waveforms, len(some))
        # Theirs from the spectrogram on: a wrong one of ours must not pass.
        features = extractor(waveforms, sampling_rate=16_000, return_tensors="pt").input_features
        with torch.inference_mode():
            generated = network.generate(
                features, language="en", task="transcribe", return_timestamps=True
            ).tolist()
        for (name, _), result, found in zip(some, results, generated, strict=True):
            tokens = list(result.tokens)
            expected = first_pass(
                [token for token in found if token not in initial], tokenizer.first_timestamp
            )
            # `generate` drops what follows the last timestamp and decodes it anew; repetition is
            # cut here.
            common = min(len(tokens), len(expected))
            where = (name, tokenizer.decode(tokens), tokenizer.decode(expected))
            assert tokens[:common] == expected[:common], where
            assert len(tokens) >= len(expected) or result.quality.repeats_itself, where
    return len(windows)


def batched(items: list[Item], size: int) -> Iterator[list[Item]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]


def first_pass(tokens: list[int], first_timestamp: int) -> list[int]:
    """What `generate` wrote before it went back to a timestamp and decoded the rest anew."""
    latest = first_timestamp
    for n, token in enumerate(tokens):
        if token >= first_timestamp:
            if token < latest:
                return tokens[:n]
            latest = token
    return tokens


@pytest.fixture(
    scope="module", params=["whisper-base", "whisper-tiny.en", "whisper-base-drafter", "random"]
)
def assisted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Transcriber]:
    """A drafter's name, and a transcriber that it drafts for."""
    name: str = request.param
    directory = random_drafter(tmp_path_factory.mktemp(name)) if name == "random" else MODELS / name
    return name, make_transcriber(str(directory))


@pytest.fixture(scope="module")
def undrafted(
    transcriber: Transcriber, windows: list[np.ndarray]
) -> dict[int, tuple[list[list[int]], DecodingStatistics]]:
    """By batch size: the tokens of the windows, and what they took."""
    found = {size: decode(transcriber, windows, size) for size in BATCH_SIZES}
    # One window after the other, or in slots that others left: the same.
    assert all(tokens == found[1][0] for tokens, _ in found.values())
    return found


@pytest.mark.parametrize("batch_size", BATCH_SIZES)
def test_drafting_does_not_change_a_token(
    assisted: tuple[str, Transcriber],
    batch_size: int,
    windows: list[np.ndarray],
    undrafted: dict[int, tuple[list[list[int]], DecodingStatistics]],
) -> None:
    assistant, transcriber = assisted
    expected, undrafted_statistics = undrafted[batch_size]
    tokens, statistics = decode(transcriber, windows, batch_size, assisted=True)
    assert tokens == expected
    assert statistics.proposed > 0
    if assistant == "whisper-base":
        # Four of four draft tokens are right, but for the probe and the ends of windows.
        assert statistics.tokens / statistics.row_steps > 2
    elif assistant == "whisper-tiny.en":
        assert statistics.steps < 0.7 * undrafted_statistics.steps


def random_drafter(directory: Path, mel_bins: int = 80) -> Path:
    """A Whisper that has learnt nothing, in whisper-base's vocabulary."""
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    torch.manual_seed(0)
    small = {
        "d_model": 64,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "encoder_ffn_dim": 128,
        "decoder_ffn_dim": 128,
    }
    heads = {"encoder_attention_heads": 1, "decoder_attention_heads": 1}
    config = WhisperConfig.from_pretrained(
        MODELS / "whisper-base", num_mel_bins=mel_bins, **small, **heads
    )
    WhisperForConditionalGeneration(config).save_pretrained(directory)
    for file in (MODELS / "whisper-base").iterdir():
        if file.suffix in (".json", ".txt") and file.name != "config.json":
            shutil.copy(file, directory)
    WhisperFeatureExtractor(feature_size=mel_bins).save_pretrained(directory)
    return directory


def test_a_draft_model_with_other_mel_bands_has_a_spectrogram_of_its_own(
    windows: list[np.ndarray], tmp_path: Path
) -> None:
    """As whisper-tiny (80) for whisper-large-v3 (128)."""
    transcriber = make_transcriber(str(random_drafter(tmp_path, mel_bins=128)))
    assisted, statistics = decode(transcriber, windows[:2], 2, assisted=True)
    assert assisted == decode(transcriber, windows[:2], 2)[0]
    assert statistics.proposed > 0


def draft_model_of(checkpoint: Checkpoint) -> DraftModel:
    target = load_checkpoint(str(MODELS / "whisper-base"))
    backend = choose_backend("cpu", "float32", "none")
    return DraftModel(checkpoint, target, WhisperModel.from_checkpoint(target, backend))


def test_a_draft_model_without_common_tokens_is_refused() -> None:
    draft = load_checkpoint(str(MODELS / "whisper-tiny.en"))
    foreign = {
        token if token.startswith("<|") else f"zq{n}": n
        for token, n in draft.vocabulary.ids.items()
    }
    vocabulary = replace(draft.vocabulary, ids=foreign)
    with pytest.raises(ModelUnavailable, match=r"only 0 of its .* text tokens exist there"):
        draft_model_of(replace(draft, vocabulary=vocabulary))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_copy_of_an_encoder_in_another_number_format_is_shared(dtype: torch.dtype) -> None:
    """As distil-whisper in float32 beside the float16 of the model that its encoder is from."""
    target = load_checkpoint(str(MODELS / "whisper-tiny.en"))
    copy = {name: tensor.to(dtype) for name, tensor in target.weights.items()}
    model = WhisperModel.from_checkpoint(target, choose_backend("cpu", "float32", "none"))
    assert DraftModel(replace(target, weights=copy), target, model).shares_encoder
    copy["model.encoder.layers.3.fc1.bias"] = copy["model.encoder.layers.3.fc1.bias"] + 1
    assert not DraftModel(replace(target, weights=copy), target, model).shares_encoder
