"""An archive on a cluster of two nodes, with real models, while machines die."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from paths import AUSTEN, KENNEDY, MODELS, REPOSITORY

from benchmarks.archive import driver, expect, node
from speech_endpoint.audio.decoding.file_decoder import DecodingOptions
from speech_endpoint.audio.decoding.sandbox import AudioDecoder

N_RECORDINGS, RATE_HZ = 16, 16_000


def write_wav(path: Path, waveform: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes((waveform * 32767).astype("<i2").tobytes())


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Beginnings of two recordings, of different lengths."""
    folder = tmp_path_factory.mktemp("archive")
    decoder = AudioDecoder()
    options = DecodingOptions(max_audio_s=60.0)
    clips = [decoder(path.read_bytes(), options).channels[0] for path in (AUSTEN, KENNEDY)]
    decoder.close()
    for i in range(N_RECORDINGS):
        waveform = clips[i % 2][: round((2.0 + 0.25 * i) * RATE_HZ)]
        write_wav(folder / f"{i % 3}" / f"{i:02d}.wav", waveform)
    return folder


@pytest.fixture(scope="module")
def work(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What each recording says alone is in it."""
    work = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASR_MODEL", str(MODELS / "whisper-tiny.en"))
        expect(source, work)
    return work


@pytest.fixture(autouse=True)
def tiny_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASR_MODEL", str(MODELS / "whisper-tiny.en"))
    monkeypatch.chdir(REPOSITORY)


def assert_right(line: dict[str, int]) -> None:
    assert line["results"] == line["recordings"] == N_RECORDINGS
    assert line["equal"] == N_RECORDINGS
    assert (line["lost"], line["twice"], line["errors"]) == (0, 0, 0)


def test_a_node_that_is_killed_costs_no_result_and_doubles_none(source, work):
    line = node(source, work)
    assert line["killed_at"] < N_RECORDINGS
    assert_right(line)


def test_a_driver_that_is_killed_goes_on_where_it_was(source, work):
    line = driver(source, work)
    assert 0 < line["killed_at"] < N_RECORDINGS
    assert line["exit"] == 0
    assert line["parts_written_again"] == 0
    assert_right(line)


def batch(source: Path, dest: Path, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "speech_endpoint.cli", "batch", str(source), str(dest)]
    return subprocess.run(
        [*command, *options], capture_output=True, text=True, env={**os.environ, **env}
    )


def test_a_recording_that_is_none_is_an_error_and_the_rest_is_transcribed(tmp_path):
    for name, content in (("a.flac", AUSTEN.read_bytes()), ("b.mp3", b"not audio at all")):
        (tmp_path / name).write_bytes(content)
    done = batch(tmp_path, tmp_path / "out", "--format", "jsonl", "--workers", "1")
    assert done.returncode == 1, done.stderr
    assert "2/2 recordings, 1 failed" in done.stderr
    (row,), (error,) = (
        [json.loads(line) for part in (tmp_path / "out" / table).glob("*") for line in part.open()]
        for table in ("transcripts", "errors")
    )
    assert (row["file"], row["language"]) == ("a.flac", "en")
    assert row["words"][0]["start"] < row["words"][-1]["end"] <= row["duration"]
    assert (error["file"], error["code"]) == ("b.mp3", "unreadable")


def test_a_model_that_is_not_there_ends_the_run_in_one_line(source, tmp_path):
    done = batch(source, tmp_path / "out", ASR_MODEL="/nowhere/at/all")
    assert done.returncode == 78
    assert "ASR_MODEL" in done.stderr.splitlines()[-1]
    assert not list((tmp_path / "out").glob("transcripts/*"))


def test_a_source_that_is_not_there_leaves_nothing_behind(tmp_path):
    done = batch(tmp_path / "gone", tmp_path / "out")
    assert done.returncode == 3
    assert "gone: nothing there" in done.stderr
    assert not (tmp_path / "out").exists()
