"""Which transcripts are there already, and that none is ever half written."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from speech_endpoint.cli.inputs import Source
from speech_endpoint.cli.outputs import Output, OutputFolder, Task, output_stems

pytestmark = pytest.mark.pure


@pytest.fixture
def task(tmp_path: Path) -> Task:
    recording = tmp_path / "a.mp3"
    recording.write_bytes(b"sound")
    outputs = tuple(Output.of(tmp_path / "out" / "a", name) for name in ("text", "srt"))
    return Task(Source(recording, Path("a.mp3")), outputs)


def _written(task: Task, **options: object) -> OutputFolder:
    folder = OutputFolder(options)
    folder.reserve(task.outputs)
    folder.write(dict.fromkeys(task.outputs, "words\n"))
    return folder


def _is_there(task: Task, **options: object) -> bool:
    """As the next run of the command finds it."""
    return OutputFolder(options).is_up_to_date(task)


def test_what_was_written_need_not_be_made_again(task: Task) -> None:
    assert not _is_there(task, language="en")
    _written(task, language="en")
    assert _is_there(task, language="en")
    assert [output.path.name for output in task.outputs] == ["a.txt", "a.srt"]


def test_other_options_make_it_again(task: Task) -> None:
    _written(task, language="en")
    assert not OutputFolder({"language": "de"}).is_up_to_date(task)


def test_a_recording_that_changed_is_made_again(task: Task) -> None:
    _written(task)
    later = task.outputs[0].path.stat().st_mtime + 10
    os.utime(task.source.path, (later, later))
    assert not _is_there(task)


def test_one_format_that_is_missing_makes_it_again(task: Task) -> None:
    _written(task)
    task.outputs[1].path.unlink()
    assert not _is_there(task)


def test_an_output_that_somebody_else_wrote_is_made_again(task: Task) -> None:
    for output in task.outputs:
        output.path.parent.mkdir(exist_ok=True)
        output.path.write_text("not ours")
    assert not OutputFolder({}).is_up_to_date(task)


def test_a_spoiled_ledger_costs_only_the_work(task: Task) -> None:
    folder = _written(task)
    assert folder.is_up_to_date(task)
    ledger = task.outputs[0].path.parent / ".speech.jsonl"
    ledger.write_bytes(b'{half\n7\n["a.txt"]\n\xff\n')
    assert not OutputFolder({}).is_up_to_date(task)
    _written(task)
    assert OutputFolder({}).is_up_to_date(task)


def test_who_is_killed_while_writing_leaves_no_output(task: Task, monkeypatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    folder = OutputFolder({})
    folder.reserve(task.outputs)
    with pytest.raises(KeyboardInterrupt):
        folder.write(dict.fromkeys(task.outputs, "words\n"))
    assert not any(output.path.exists() for output in task.outputs)
    folder.discard(task.outputs)
    monkeypatch.undo()
    assert not folder.is_up_to_date(task)
    assert [path.name for path in task.outputs[0].path.parent.glob("a.*")] == []


@pytest.mark.parametrize("n_calls", range(8))
def test_wherever_a_rewrite_is_killed_no_options_take_the_others_output_for_theirs(
    task: Task, monkeypatch, n_calls: int
) -> None:
    _written(task, language="en")
    calls = iter(range(n_calls))

    def until_killed(call):
        def wrapped(*arguments: object, **named: object):
            if next(calls, None) is None:
                raise KeyboardInterrupt
            return call(*arguments, **named)

        return wrapped

    monkeypatch.setattr(os, "replace", until_killed(os.replace))
    monkeypatch.setattr(Path, "open", until_killed(Path.open))
    with contextlib.suppress(KeyboardInterrupt):
        OutputFolder({"language": "de"}).write(dict.fromkeys(task.outputs, "Worte\n"))
    monkeypatch.undo()
    for language, text in (("en", "words\n"), ("de", "Worte\n")):
        if _is_there(task, language=language):
            assert [output.path.read_text() for output in task.outputs] == [text] * 2


def test_an_output_that_cannot_be_written_leaves_the_others_as_they_were(task: Task) -> None:
    _written(task, language="en")
    (task.outputs[1].path.parent / "a.srt.part").mkdir()
    folder = OutputFolder({"language": "de"})
    with pytest.raises(OSError, match="directory"):
        folder.write(dict.fromkeys(task.outputs, "Worte\n"))
    assert _is_there(task, language="en")
    assert not task.outputs[0].path.with_name("a.txt.part").exists()


def test_a_place_that_cannot_be_written_to_is_found_before_there_is_anything_to_write(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    for stem in (tmp_path / "file" / "a", tmp_path / ("n" * 260)):
        outputs = (Output.of(tmp_path / "b", "text"), Output.of(stem, "text"))
        with pytest.raises(OSError, match=r"directory|too long|exists"):
            OutputFolder({}).reserve(outputs)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def _stems(*names: str, folder: str | None = None) -> list[str]:
    sources = [Source(Path(name), Path(name.rpartition("in/")[2])) for name in names]
    stems = output_stems(sources, None if folder is None else Path(folder))
    return [stem.as_posix() for stem in stems]


def test_outputs_are_named_after_recordings_without_their_suffix() -> None:
    assert _stems("in/a.mp3", "in/b.tar.wav", "in/deep/c", folder="out") == [
        "out/a", "out/b.tar", "out/deep/c",
    ]  # fmt: skip


def test_recordings_that_differ_in_their_suffix_keep_it() -> None:
    names = ("in/a.mp3", "in/a.wav", "in/b.wav")
    assert _stems(*names) == ["in/a.mp3", "in/a.wav", "in/b"]
    names = ("in/a.mp3", "in/a.wav", "in/a.mp3.ogg", "in/b.mp3", "in/b.mp3.ogg")
    assert _stems(*names) == ["in/a.mp3", "in/a.wav", "in/a.mp3.ogg", "in/b", "in/b.mp3.ogg"]


def test_recordings_of_one_name_in_two_folders_are_kept_apart() -> None:
    names = ("x/in/a.mp3", "y/in/a.mp3", "x/in/b.mp3")
    assert _stems(*names) == ["x/in/a", "y/in/a", "x/in/b"]
    assert _stems(*names, folder="out") == ["out/x/in/a", "out/y/in/a", "out/b"]


def test_no_output_takes_its_recordings_place() -> None:
    assert _stems("in/a.txt", "in/b.JSON") == ["in/a.txt", "in/b.JSON"]
