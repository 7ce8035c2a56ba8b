"""What the table of subtitles counts."""

from __future__ import annotations

import pytest

from benchmarks.subtitles import Cue, Faults, judge, read

pytestmark = pytest.mark.pure

SRT = """1
00:00:01,000 --> 00:00:02,500
[SPEAKER_00]: This is what
happened.

2
00:00:02,400 --> 00:00:03,000
[SPEAKER_01]: Oh.
"""


def test_cues_are_read_from_a_file() -> None:
    assert read(SRT) == [
        Cue(1.0, 2.5, ("[SPEAKER_00]: This is what", "happened.")),
        Cue(2.4, 3.0, ("[SPEAKER_01]: Oh.",)),
    ]


def test_what_publishers_forbid_is_counted() -> None:
    expected = Faults(cues=2, short=1, fast_with_label=2, orphans=1, overlaps=1)
    assert judge(read(SRT)) == expected
    wide = [Cue(0.0, 8.0, ("字" * 17, "a" * 42, "a" * 43))]
    assert judge(wide) == Faults(cues=1, long_lines=2, more_lines=1, long=1)


def test_a_word_alone_is_an_orphan_only_within_a_sentence() -> None:
    for before, n_orphans in (("This has", 1), ("This has happened.", 0)):
        cues = [Cue(0.0, 2.0, (before,)), Cue(2.0, 3.0, ("happened.",))]
        assert judge(cues).orphans == n_orphans
