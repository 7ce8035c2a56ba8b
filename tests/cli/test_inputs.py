"""Which files a command line means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from speech_endpoint.cli.inputs import Source, find_sources

pytestmark = pytest.mark.pure


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.mp3", "A.WAV", "notes.txt", ".hidden.mp3", "deep/c.ogg", ".git/d.mp3"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


def _names(sources: list[Source]) -> list[str]:
    return [source.relative.as_posix() for source in sources]


def test_a_folder_gives_its_recordings_in_order(folder: Path) -> None:
    assert _names(find_sources([str(folder)])) == ["A.WAV", "b.mp3"]


def test_folders_within_are_walked_on_request(folder: Path) -> None:
    found = find_sources([str(folder)], recursive=True)
    assert _names(found) == ["A.WAV", "b.mp3", "deep/c.ogg"]


def test_a_pattern_chooses_among_a_folders_files(folder: Path) -> None:
    assert _names(find_sources([str(folder)], "*.txt")) == ["notes.txt"]


def test_a_file_that_is_named_may_have_any_suffix(folder: Path) -> None:
    assert _names(find_sources([str(folder / "notes.txt")])) == ["notes.txt"]


def test_a_pattern_that_no_shell_expanded_is_expanded(folder: Path) -> None:
    assert _names(find_sources([str(folder / "*.mp3")])) == ["b.mp3"]


def test_a_recording_named_twice_counts_once(folder: Path) -> None:
    os.symlink(folder / "b.mp3", folder / "z.mp3")
    assert _names(find_sources([str(folder / "b.mp3"), str(folder)])) == ["b.mp3", "A.WAV"]


def test_a_name_of_nothing_is_told(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.mp3"):
        find_sources([str(folder / "nowhere.mp3")])
