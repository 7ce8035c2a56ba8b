"""The recordings that benchmarks make of others."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import corpus
from benchmarks.corpus import CONVERSATION, Clip, wav
from speech_endpoint.transcript import SAMPLE_RATE_HZ

pytestmark = pytest.mark.pure


@given(st.lists(st.integers(-(2**15), 2**15 - 1), min_size=800, max_size=900))
def test_a_waveform_of_16_bits_survives_its_file(samples: list[int]) -> None:
    waveform = (np.array(samples) / 2**15).astype(np.float32)
    assert np.array_equal(Clip("made", CONVERSATION, partial(wav, waveform)).waveform, waveform)


def test_a_delayed_recording_is_the_same_after_the_silence() -> None:
    waveform = (np.arange(16_000) / 2**15).astype(np.float32)
    clip = Clip("made", CONVERSATION, partial(wav, waveform)).delayed(0.037)
    assert clip.offset_s == pytest.approx(0.037)
    assert not clip.waveform[:592].any()
    assert np.array_equal(clip.waveform[592:], waveform)


@pytest.fixture
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two utterances of a second, and the made signals."""
    (tmp_path / "utterances").mkdir()
    for name in ("one", "two"):
        (tmp_path / "utterances" / f"{name}.wav").write_bytes(wav(np.zeros(SAMPLE_RATE_HZ)))
    table = "file\tlanguage\ttranscript\none.wav\ten\tHello.\ntwo.wav\ten\tBye.\n"
    (tmp_path / "utterances.tsv").write_text(table)
    monkeypatch.setattr(corpus, "DATA", tmp_path)


@pytest.mark.usefixtures("recordings")
@pytest.mark.parametrize(
    ("name", "transcripts", "duration_s"),
    [
        ("two", ["Bye."], 1.0),
        ("utterances", ["Hello.", "Bye."], 2.0),
        ("two x3", ["Bye. Bye. Bye."], 3.0),
        ("utterances x2", ["Hello. Bye. Hello. Bye."], 4.0),
        ("tone", [""], 20.0),
    ],
)
def test_recordings_are_loaded_alone_by_kind_or_repeated(
    name: str, transcripts: list[str], duration_s: float
) -> None:
    clips = corpus.load(name)
    assert [clip.transcript for clip in clips] == transcripts
    assert sum(clip.duration_s for clip in clips) == duration_s


@pytest.mark.usefixtures("recordings")
@pytest.mark.parametrize("name", ["three", "three x2", "conversations", "two xx", "minutes 3"])
def test_an_unknown_recording_is_named_beside_what_there_is(name: str) -> None:
    with pytest.raises(corpus.RecordingNotFoundError, match=r"it has .*one.*utterances"):
        corpus.load(name)


def test_no_recordings_say_where_they_were_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "DATA", tmp_path / "nowhere")
    with pytest.raises(corpus.RecordingNotFoundError, match=r"nowhere.*SPEECH_DATA"):
        corpus.find_clips()
