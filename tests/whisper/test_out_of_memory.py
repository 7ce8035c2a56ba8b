"""Memory that runs out while windows are decoded: no window is lost, and no token is another."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import pytest
from faults import Condition, Fault, SmallMemory
from paths import KENNEDY, MODELS, REPOSITORY

from speech_endpoint.audio.decoding.decode import decode_audio
from speech_endpoint.errors import OutOfMemory
from speech_endpoint.whisper.backends import choose_backend
from speech_endpoint.whisper.backends.cpu import CpuBackend
from speech_endpoint.whisper.batching.draft_length import DraftPolicy
from speech_endpoint.whisper.batching.engine import Engine
from speech_endpoint.whisper.batching.sequence import (
    DecodeOptions,
    DecodeRequest,
    DecodeResult,
    RequestGroup,
)
from speech_endpoint.whisper.batching.speculation import DraftModel
from speech_endpoint.whisper.checkpoint import load_checkpoint
from speech_endpoint.whisper.model.whisper import WhisperModel

N_WINDOWS = 4
ALWAYS_DRAFT = DraftPolicy(max_probe_cost=1.0, fixed_length=2)
Texts = dict[int, tuple[int, ...]]
"""Tokens by window."""


@pytest.fixture(scope="module")
def model() -> WhisperModel:
    checkpoint = load_checkpoint(str(MODELS / "whisper-tiny.en"))
    return WhisperModel.from_checkpoint(checkpoint, choose_backend("cpu", "float32", "none"))


@pytest.fixture(scope="module")
def multilingual() -> tuple[WhisperModel, DraftModel]:
    """A model that has to find out the language, and one that drafts for it."""
    checkpoint, draft = (load_checkpoint(str(MODELS / f"whisper-{n}")) for n in ("base", "tiny.en"))
    target = WhisperModel.from_checkpoint(checkpoint, choose_backend("cpu", "float32", "none"))
    return target, DraftModel(draft, checkpoint, target)


@pytest.fixture(scope="module")
def windows() -> list[np.ndarray]:
    waveform = decode_audio(KENNEDY.read_bytes(), 16_000, 60)
    return [waveform[n * 16_000 : (n + 1) * 16_000] for n in range(N_WINDOWS)]


def decode(
    engine: Engine,
    windows: list[np.ndarray],
    trouble: AbstractContextManager[object] | None = None,
    group: RequestGroup | None = None,
) -> tuple[Texts, int]:
    """The windows' texts, each of which comes once, and the steps that had some to decode."""
    group = group or RequestGroup()
    for n, window in enumerate(windows):
        engine.add(DecodeRequest(group, n, float(n), (window,), fallback=False))
    texts: Texts = {}
    with trouble or nullcontext():
        while engine.busy:
            for result in engine.step():
                assert isinstance(result, DecodeResult)
                assert result.request.index not in texts
                texts[result.request.index] = result.tokens
    return texts, group.statistics.steps


@pytest.fixture(scope="module")
def undisturbed(model: WhisperModel, windows: list[np.ndarray]) -> tuple[Texts, int]:
    texts, n_steps = decode(Engine(model, N_WINDOWS), windows)
    assert sorted(texts) == list(range(N_WINDOWS)) and len(set(texts.values())) == N_WINDOWS
    return texts, n_steps


def only(n: int) -> Condition:
    return lambda operation: operation == n


PLACES: list[tuple[str, Condition]] = [
    ("new_cache", only(3)),
    ("_read_initial", only(50)),
    ("stepping.py", only(700)),
    # At the second window that is done, when the first has left.
    ("alignment", only(9)),
    # Down to one window.
    ("encoder.py", lambda operation: operation in (0, 1)),
]


@pytest.mark.parametrize(("place", "fails"), PLACES)
def test_the_text_is_the_same_wherever_memory_runs_out(
    model: WhisperModel,
    windows: list[np.ndarray],
    undisturbed: tuple[Texts, int],
    place: str,
    fails: Condition,
) -> None:
    fault = Fault(place, fails)
    assert decode(Engine(model, N_WINDOWS), windows, fault)[0] == undisturbed[0]
    assert fault.n_faults > 0


def test_the_next_windows_have_all_the_slots_again(
    model: WhisperModel, windows: list[np.ndarray], undisturbed: tuple[Texts, int]
) -> None:
    engine = Engine(model, N_WINDOWS)
    assert decode(engine, windows, Fault("stepping.py", only(5)))[1] > undisturbed[1]
    assert decode(engine, windows) == undisturbed


def test_another_error_is_not_taken_for_a_lack_of_memory(
    model: WhisperModel, windows: list[np.ndarray]
) -> None:
    fault = Fault("stepping.py", only(100), RuntimeError)
    with pytest.raises(RuntimeError, match="on purpose"):
        decode(Engine(model, N_WINDOWS), windows, fault)


def test_language_and_drafts_survive_as_well(
    multilingual: tuple[WhisperModel, DraftModel], windows: list[np.ndarray]
) -> None:
    """A window that begins anew is in the language that it was in, and counts once."""
    target, draft = multilingual
    groups = [RequestGroup(DecodeOptions(assisted=True)) for _ in range(2)]
    engine = Engine(target, 2, draft, ALWAYS_DRAFT)
    texts = [
        decode(engine, windows[:2], trouble, group)[0]
        for group, trouble in zip(
            groups,
            (nullcontext(), Fault("propose", only(500))),
            strict=True,
        )
    ]
    assert texts[1] == texts[0]
    assert groups[1].language_prior == groups[0].language_prior
    assert all(group.languages == groups[0].languages for group in groups)
    assert all(group.statistics.accepted > 0 for group in groups)


def test_as_many_windows_are_decoded_together_as_there_is_memory_for(
    model: WhisperModel, windows: list[np.ndarray], undisturbed: tuple[Texts, int]
) -> None:
    two_slots = 2 * model.decoder.new_cache(1).cross_keys.nbytes
    engine = Engine(model, N_WINDOWS)
    texts, n_steps = decode(engine, windows, SmallMemory(two_slots))
    assert texts == undisturbed[0]
    assert undisturbed[1] < n_steps < sum(len(text) + 1 for text in texts.values())


def test_what_cannot_be_decoded_at_all_is_an_error_that_says_what_helps(
    model: WhisperModel, windows: list[np.ndarray], undisturbed: tuple[Texts, int]
) -> None:
    engine = Engine(model, N_WINDOWS)
    one_slot = model.decoder.new_cache(1).cross_keys.nbytes
    with pytest.raises(OutOfMemory, match=r"^out of memory on cpu.*ASR_MODEL"):
        decode(engine, windows, SmallMemory(one_slot - 1))
    assert not engine.busy
    assert decode(engine, windows) == undisturbed


class TightBackend(CpuBackend):
    """A device with little free memory."""

    free = 0

    def free_bytes(self) -> int:
        return self.free


def test_no_more_slots_are_taken_than_fit(
    windows: list[np.ndarray], undisturbed: tuple[Texts, int]
) -> None:
    backend = TightBackend("float32", "none")
    checkpoint = load_checkpoint(str(MODELS / "whisper-tiny.en"))
    engine = Engine(WhisperModel.from_checkpoint(checkpoint, backend), N_WINDOWS)
    _, n_steps = decode(engine, windows)
    backend.free = backend.reserved_bytes + 4 * engine.model.decoder.slot_bytes
    texts, n_steps_with_memory = decode(engine, windows)
    assert texts == undisturbed[0]
    assert n_steps == sum(len(text) + 1 for text in texts.values())
    assert n_steps_with_memory == undisturbed[1]


def test_a_slot_takes_what_it_is_said_to_take(model: WhisperModel) -> None:
    cache = model.decoder.new_cache(3)
    tensors = (
        cache.self_keys,
        cache.self_values,
        cache.cross_keys,
        cache.cross_values,
        cache.alignment_queries,
    )
    assert sum(tensor.nbytes for tensor in tensors) == 3 * model.decoder.slot_bytes


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS")
def test_an_allocator_that_really_fails_is_survived() -> None:
    """A process that may not grow by the memory of the slots that were asked for."""
    script = """
import resource
from pathlib import Path
import numpy as np
from speech_endpoint.audio.decoding.decode import decode_audio
from speech_endpoint.config import InferenceConfig, ModelSettings
from speech_endpoint.transcription.transcriber import Transcriber

settings = ModelSettings(asr_model="models/whisper-tiny.en", device="cpu", dtype="float32")
transcriber = Transcriber(settings, ".")
clip = decode_audio(Path("tests/data/kennedy.ogg").read_bytes(), 16_000, 60)
waveform = np.tile(clip[: 6 * 16_000], 2)
config = InferenceConfig(chunk_length_s=1)
expected = transcriber(waveform, config)
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 120 * 2**20, resource.RLIM_INFINITY))
found = transcriber(waveform, config)
assert found.statistics.steps > expected.statistics.steps
texts = [[segment.tokens for segment in each.segments] for each in (expected, found)]
assert texts[0] and texts[1] == texts[0]
"""
    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "out of memory with" in ended.stderr, ended.stderr
