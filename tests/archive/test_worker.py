"""A block is done once, whatever happens to who does it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from speech_endpoint.archive.blocks import Block, pack
from speech_endpoint.archive.errors import EngineFailed
from speech_endpoint.archive.recordings import Archive, UnknownArchive
from speech_endpoint.archive.store import Store
from speech_endpoint.archive.tables import Failure
from speech_endpoint.archive.worker import Job, Worker
from speech_endpoint.transcript import Segment, Transcript, Word

pytestmark = pytest.mark.pure


class ProcessEnds(BaseException):
    """What a worker cannot catch."""


class Recogniser:
    """Says what it is given; `poison` ends it."""

    def __init__(self, poison=(), error=EngineFailed):
        self.calls, self.poison, self.error = [], poison, error

    def transcribe(self, recordings):
        self.calls.append(list(recordings))
        if any(name in self.poison for name in recordings):
            raise self.error("it ended")
        return {
            name: Failure("inputs", "unreadable", "empty")
            if not audio
            else Transcript((Segment((Word(f" {audio.decode()}", 0.0, 1.0),)),), duration_s=1.0)
            for name, audio in recordings.items()
        }


@pytest.fixture
def archive(tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    for name in ("a", "b", "c", "d"):
        (source / f"{name}.wav").write_text(name)
    return Archive(str(source))


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "out"), "jsonl")


def block_of(archive):
    # One worker's share of few recordings would be one each.
    return Block(tuple(r for block in pack(archive.find(), 1) for r in block.recordings))


def table(store, name):
    parts = sorted(Path(store.url, name).glob("part-*"))
    return {row["file"]: row for part in parts for row in map(json.loads, part.open())}


def test_a_block_that_is_done_is_not_done_again(archive, store):
    recogniser = Recogniser()
    worker, block = Worker(Job(archive, store, lambda: recogniser)), block_of(archive)
    assert worker.do(block).n_recordings == worker.do(block).n_recordings == 4
    assert len(recogniser.calls) == 1
    assert {file: row["text"] for file, row in table(store, "transcripts").items()} == {
        "a.wav": "a",
        "b.wav": "b",
        "c.wav": "c",
        "d.wav": "d",
    }
    assert table(store, "errors") == {}


def test_a_recording_without_a_transcript_is_in_the_table_of_errors_alone(archive, store, tmp_path):
    (tmp_path / "in" / "b.wav").write_text("")
    done = Worker(Job(archive, store, Recogniser)).do(block_of(archive))
    assert done.n_errors == 1
    assert set(table(store, "transcripts")) == {"a.wav", "c.wav", "d.wav"}
    assert table(store, "errors")["b.wav"]["code"] == "unreadable"


def test_a_recording_that_has_gone_harms_no_other(archive, store, tmp_path):
    block = block_of(archive)
    (tmp_path / "in" / "c.wav").unlink()
    Worker(Job(archive, store, Recogniser)).do(block)
    assert set(table(store, "transcripts")) == {"a.wav", "b.wav", "d.wav"}
    assert table(store, "errors")["c.wav"]["code"] == "unreadable"


@pytest.mark.parametrize("error", [EngineFailed, ProcessEnds])
def test_a_recording_that_ends_its_process_becomes_an_error_and_harms_no_other(
    archive, store, error
):
    block = block_of(archive)
    for _ in range(20):
        try:
            Worker(Job(archive, store, lambda: Recogniser({"b.wav"}, error))).do(block)
        except ProcessEnds:
            continue
        break
    assert set(table(store, "transcripts")) == {"a.wav", "c.wav", "d.wav"}
    assert table(store, "errors")["b.wav"]["code"] == "worker_died"


def test_a_worker_that_dies_once_costs_no_recording(archive, store):
    block = block_of(archive)
    with pytest.raises(ProcessEnds):
        Worker(Job(archive, store, lambda: Recogniser({"b.wav"}, ProcessEnds))).do(block)
    assert not store.is_done(block)
    Worker(Job(archive, store, Recogniser)).do(block)
    assert len(table(store, "transcripts")) == 4


def test_failed_blocks_are_done_again_when_that_is_asked_for(archive, store, tmp_path):
    (tmp_path / "in" / "b.wav").write_text("")
    block = block_of(archive)
    Worker(Job(archive, store, Recogniser)).do(block)
    (tmp_path / "in" / "b.wav").write_text("b")
    store.forget_failures()
    Worker(Job(archive, store, Recogniser)).do(block)
    assert len(table(store, "transcripts")) == 4
    assert table(store, "errors") == {}


def test_transcripts_of_other_options_are_not_mixed(store):
    store.open({"asr_model": "a", "parameters": {}})
    store.open({"asr_model": "a", "parameters": {}})
    with pytest.raises(UnknownArchive, match="asr_model is 'a' there"):
        store.open({"asr_model": "b", "parameters": {}})


def test_what_a_killed_writer_has_left_is_removed_and_counts_as_nothing(archive, store, tmp_path):
    block = block_of(archive)
    folder = tmp_path / "out" / "transcripts"
    folder.mkdir(parents=True)
    (folder / f".part-{block.id}.jsonl.123").write_text("{")
    assert not store.is_done(block)
    assert store.done() == set()
    store.tidy()
    assert list(folder.iterdir()) == []
