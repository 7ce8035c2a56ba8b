"""In float32 the decoding loop writes what transformers' `generate` writes, token for token."""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch
from paths import MODELS
from transformers import WhisperFeatureExtractor

from speech_endpoint.audio.decoding import decode_audio
from speech_endpoint.audio.vad import pad_segments, speech_segments
from speech_endpoint.audio.windows import pack_windows
from speech_endpoint.config import ModelSettings
from speech_endpoint.transcription.transcriber import Transcriber
from speech_endpoint.whisper.backends.cpu import pick_precision
from speech_endpoint.whisper.checkpoint import Checkpoint, load_checkpoint
from speech_endpoint.whisper.engine import DecodingStatistics
from speech_endpoint.whisper.sequence import Job
from speech_endpoint.whisper.speculation import Drafter, DraftLength
from speech_endpoint.whisper.tokenizer import Vocabulary

FEW_FILES = [
    "conversations/phone_call.flac",
    "conversations/ami_trn07.flac",
    "formats/benchmark_8s.wav",
]
BATCH_SIZES = [1, 4, 24]
Item = TypeVar("Item")
SUFFIXES = {".flac", ".wav", ".mp3", ".ogg", ".m4a", ".webm", ".amr"}


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


def cut_windows(transcriber: Transcriber, file: Path) -> list[np.ndarray]:
    waveform = decode_audio(file.read_bytes(), 16_000, 3600)
    probabilities = transcriber.voice_activity(waveform)
    duration_s = waveform.size / 16_000
    segments = pad_segments(speech_segments(probabilities, duration_s), duration_s)
    return [
        np.concatenate(window.slices(waveform))
        for window in pack_windows(segments, probabilities, 30.0)
    ]


@pytest.fixture(scope="module")
def windows(transcriber: Transcriber, data: Path) -> list[np.ndarray]:
    return [window for name in FEW_FILES for window in cut_windows(transcriber, data / name)]


def decode(
    transcriber: Transcriber,
    windows: list[np.ndarray],
    batch_size: int,
    assisted: bool = False,
    statistics: DecodingStatistics | None = None,
) -> list[list[int]]:
    queue = deque(Job(n, (window,), "en", retries=False) for n, window in enumerate(windows))
    drafter = transcriber.drafter if assisted else None
    hypotheses = transcriber.loop.run(queue, batch_size, drafter, statistics)
    found = {hypothesis.job.index: list(hypothesis.tokens) for hypothesis in hypotheses}
    return [found[n] for n in range(len(windows))]


@pytest.mark.core
def test_tokens_equal_generate(transcriber: Transcriber, data: Path) -> None:
    check_against_generate(transcriber, [data / name for name in FEW_FILES])


def test_tokens_equal_generate_on_every_recording(transcriber: Transcriber, data: Path) -> None:
    files = sorted(path for path in data.rglob("*") if path.suffix in SUFFIXES)
    assert check_against_generate(transcriber, files) > 50


def check_against_generate(transcriber: Transcriber, files: list[Path]) -> int:
    """Fail at the first token that differs, in any window; the number of windows."""
    from transformers import WhisperForConditionalGeneration

    network = WhisperForConditionalGeneration.from_pretrained(MODELS / "whisper-base").eval()
    vocabulary = transcriber.vocabulary
    prompt = (
        vocabulary.start,
        vocabulary.languages["en"],
        vocabulary.tasks["transcribe"],
        vocabulary.end,
    )
    windows = [(file.name, window) for file in files for window in cut_windows(transcriber, file)]
    for some in batched(windows, 8):
        waveforms = [window for _, window in some]
        queue = deque(Job(n, (window,), "en", retries=False) for n, window in enumerate(waveforms))
        hypotheses = sorted(
            transcriber.loop.run(queue, len(some)), key=lambda hypothesis: hypothesis.job.index
        )
        features = transcriber.loop.log_mel(waveforms)
        with torch.inference_mode():
            generated = network.generate(
                features, language="en", task="transcribe", return_timestamps=True
            ).tolist()
        for (name, _), hypothesis, found in zip(some, hypotheses, generated, strict=True):
            tokens = list(hypothesis.tokens)
            expected = first_pass(
                [token for token in found if token not in prompt], vocabulary.first_timestamp
            )
            # `generate` drops what follows the last timestamp and decodes it anew; a loop we cut.
            common = min(len(tokens), len(expected))
            where = (name, vocabulary.text(tokens), vocabulary.text(expected))
            assert tokens[:common] == expected[:common], where
            assert len(tokens) >= len(expected) or hypothesis.looped, where
    return len(windows)


def batched(items: list[Item], size: int) -> Iterator[list[Item]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]


def first_pass(tokens: list[int], first_timestamp: int) -> list[int]:
    """What `generate` wrote before it went back to a timestamp and read the rest of the window anew."""
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
) -> dict[int, tuple[list[list[int]], int]]:
    """By batch size: the tokens of the windows, and the steps that they took."""
    found = {}
    for batch_size in BATCH_SIZES:
        statistics = DecodingStatistics()
        found[batch_size] = (
            decode(transcriber, windows, batch_size, statistics=statistics),
            statistics.steps,
        )
    # One window after the other, or in slots that others left: the same.
    assert all(tokens == found[1][0] for tokens, _ in found.values())
    return found


@pytest.mark.core
@pytest.mark.parametrize("batch_size", BATCH_SIZES)
def test_drafting_does_not_change_a_token(
    assisted: tuple[str, Transcriber],
    batch_size: int,
    windows: list[np.ndarray],
    undrafted: dict[int, tuple[list[list[int]], int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Whether drafting pays is a matter of the clock; here it goes on all the same.
    monkeypatch.setattr(DraftLength, "_best_length", lambda self, rows: 4)
    monkeypatch.setattr(DraftLength, "TRIAL_SHARE", 1.0)
    assistant, transcriber = assisted
    statistics = DecodingStatistics()
    expected, steps = undrafted[batch_size]
    assert (
        decode(transcriber, windows, batch_size, assisted=True, statistics=statistics) == expected
    )
    assert statistics.drafted > 0
    if assistant == "whisper-base":
        assert statistics.tokens / statistics.row_steps > 3
    elif assistant == "whisper-tiny.en":
        assert statistics.steps < 0.7 * steps


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


def test_a_drafter_with_other_mel_bands_hears_with_its_own(
    windows: list[np.ndarray], tmp_path: Path
) -> None:
    """As whisper-tiny (80) for whisper-large-v3 (128)."""
    transcriber = make_transcriber(str(random_drafter(tmp_path, mel_bins=128)))
    statistics = DecodingStatistics()
    assisted = decode(transcriber, windows[:2], 2, assisted=True, statistics=statistics)
    assert assisted == decode(transcriber, windows[:2], 2)
    assert statistics.drafted > 0


def drafter_of(drafter: Checkpoint) -> Drafter:
    target, cpu = load_checkpoint(str(MODELS / "whisper-base")), torch.device("cpu")
    return Drafter(drafter, Vocabulary(target), target, cpu, pick_precision("float32", "none", cpu))


def test_a_drafter_without_common_tokens_is_refused() -> None:
    drafter = load_checkpoint(str(MODELS / "whisper-tiny.en"))
    foreign = {
        token if token.startswith("<|") else f"zq{n}": n for token, n in drafter.vocabulary.items()
    }
    with pytest.raises(RuntimeError, match=r"only 0 of its .* text tokens exist there"):
        drafter_of(replace(drafter, vocabulary=foreign))


def test_a_drafter_for_another_sampling_rate_is_refused() -> None:
    drafter = load_checkpoint(str(MODELS / "whisper-tiny.en"))
    with pytest.raises(RuntimeError, match="8000 Hz, the other at 16000 Hz"):
        drafter_of(replace(drafter, extractor=WhisperFeatureExtractor(sampling_rate=8_000)))


@pytest.mark.parametrize(("listening_s", "length"), [(0.0, 1), (0.02, 1), (0.05, 0)])
def test_a_drafter_that_listens_for_long_is_not_tried(listening_s: float, length: int) -> None:
    """A window of a hundred tokens of 8 ms: a trial may take 3 % of that."""
    draft_length = DraftLength()
    draft_length.expects_listening(listening_s)
    draft_length.saw_plain(0.008)
    assert draft_length.length == length


def test_a_drafter_that_is_right_goes_on_and_one_that_is_wrong_stops() -> None:
    for accepted, goes_on in ((1, True), (0, False)):
        draft_length = DraftLength(seconds_plain=0.1)
        for _ in range(DraftLength.TRIAL_STEPS):
            draft_length.saw(
                rows=1, drafted=1, accepted=accepted, offered=1, draft_s=0.01, verify_s=0.11
            )
        assert (draft_length.length > 0) == goes_on
