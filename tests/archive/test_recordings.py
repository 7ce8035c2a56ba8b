"""What an archive holds."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from speech_endpoint.archive.recordings import Archive, UnknownArchive

pytestmark = pytest.mark.pure


def write(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def write_data_set(path, audio, rows_a_group):
    path.parent.mkdir(parents=True, exist_ok=True)
    column = [
        None if content is None else {"bytes": content, "path": f"{i}.wav"}
        for i, content in enumerate(audio)
    ]
    table = pa.table({"text": ["?"] * len(audio), "audio": column})
    pq.write_table(table, path, row_group_size=rows_a_group)


def test_audio_files_of_all_folders_are_found_and_nothing_else(tmp_path):
    write(tmp_path, "a.wav", "b/c.MP3", "b/d/e.flac", "notes.txt", ".hidden/f.wav", "b/.g.wav")
    found = {recording.name: recording.size for recording in Archive(str(tmp_path)).find()}
    assert found == {"a.wav": 5, "b/c.MP3": 7, "b/d/e.flac": 10}


def test_a_pattern_chooses_files(tmp_path):
    write(tmp_path, "a.wav", "b/c.raw")
    assert [r.name for r in Archive(str(tmp_path)).find("*.raw")] == ["b/c.raw"]


def test_a_single_file_is_an_archive_of_one(tmp_path):
    write(tmp_path, "call.dat")
    archive = Archive(str(tmp_path / "call.dat"))
    (recording,) = archive.find()
    assert recording.name == "call.dat"
    assert list(archive.read([recording])) == [(recording, b"call.dat")]


def test_results_that_lie_in_the_source_are_no_recordings(tmp_path):
    write(tmp_path, "a.wav", "out/b.wav", "output/c.wav")
    found = Archive(str(tmp_path)).find(leave_out=str(tmp_path / "out"))
    assert {recording.name for recording in found} == {"a.wav", "output/c.wav"}


def test_rows_of_a_data_set_are_recordings(tmp_path):
    audio = [bytes([i]) * (i + 1) for i in range(50)]
    write_data_set(tmp_path / "data" / "train-0.parquet", audio, rows_a_group=20)
    write(tmp_path, "a.wav")
    archive = Archive(str(tmp_path))
    found = list(archive.find())
    assert len(found) == 51
    wanted = [r for r in found if r.row in (3, 19, 20, 49)] + [r for r in found if r.row == -1]
    contents = {recording.name: content for recording, content in archive.read(wanted)}
    assert contents == {
        "data/train-0.parquet#3": audio[3],
        "data/train-0.parquet#19": audio[19],
        "data/train-0.parquet#20": audio[20],
        "data/train-0.parquet#49": audio[49],
        "a.wav": b"a.wav",
    }


def test_a_row_that_is_null_is_a_recording_of_nothing(tmp_path):
    write_data_set(tmp_path / "data.parquet", [b"a", None, b"c"], rows_a_group=2)
    archive = Archive(str(tmp_path))
    assert [content for _, content in archive.read(list(archive.find()))] == [b"a", b"", b"c"]


def test_a_table_without_audio_is_passed_over(tmp_path):
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "labels.parquet")
    assert list(Archive(str(tmp_path)).find()) == []


def test_a_place_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UnknownArchive, match="nothing there"):
        list(Archive(str(tmp_path / "gone")).find())


def test_a_protocol_that_nobody_knows_is_named():
    with pytest.raises(UnknownArchive, match="gopher://x"):
        list(Archive("gopher://x").find())
