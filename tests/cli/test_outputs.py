"""Which transcripts are there already, and that none is ever half written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from speech_endpoint.cli.inputs import Source
from speech_endpoint.cli.outputs import Output, OutputFolder, Task

pytestmark = pytest.mark.pure


@pytest.fixture
def task(tmp_path: Path) -> Task:
    recording = tmp_path / "a.mp3"
    recording.write_bytes(b"sound")
    outputs = tuple(Output.of(tmp_path / "out" / "a", name) for name in ("text", "srt"))
    return Task(Source(recording, Path("a.mp3")), outputs)


def _written(task: Task, **options: object) -> OutputFolder:
    folder = OutputFolder(options)
    folder.write(dict.fromkeys(task.outputs, "words\n"))
    return folder


def test_what_was_written_need_not_be_made_again(task: Task) -> None:
    folder = OutputFolder({"language": "en"})
    assert not folder.is_up_to_date(task)
    folder = _written(task, language="en")
    assert folder.is_up_to_date(task)
    assert [output.path.name for output in task.outputs] == ["a.txt", "a.srt"]


def test_other_options_make_it_again(task: Task) -> None:
    _written(task, language="en")
    assert not OutputFolder({"language": "de"}).is_up_to_date(task)


def test_a_recording_that_changed_is_made_again(task: Task) -> None:
    folder = _written(task)
    later = task.outputs[0].path.stat().st_mtime + 10
    os.utime(task.source.path, (later, later))
    assert not folder.is_up_to_date(task)


def test_one_format_that_is_missing_makes_it_again(task: Task) -> None:
    folder = _written(task)
    task.outputs[1].path.unlink()
    assert not folder.is_up_to_date(task)


def test_an_output_that_somebody_else_wrote_is_made_again(task: Task) -> None:
    for output in task.outputs:
        output.path.parent.mkdir(exist_ok=True)
        output.path.write_text("not ours")
    assert not OutputFolder({}).is_up_to_date(task)


def test_a_spoiled_ledger_costs_only_the_work(task: Task) -> None:
    folder = _written(task)
    (task.outputs[0].path.parent / ".speech.json").write_text("{half")
    assert not folder.is_up_to_date(task)
    assert _written(task).is_up_to_date(task)


def test_who_is_killed_while_writing_leaves_no_output(task: Task, monkeypatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    folder = OutputFolder({})
    with pytest.raises(KeyboardInterrupt):
        folder.write(dict.fromkeys(task.outputs, "words\n"))
    assert not any(output.path.exists() for output in task.outputs)
    folder.discard(task.outputs)
    monkeypatch.undo()
    assert not folder.is_up_to_date(task)
    assert [path.name for path in task.outputs[0].path.parent.glob("a.*")] == []
