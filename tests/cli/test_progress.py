"""What is shown while files are transcribed."""

from __future__ import annotations

import re

import pytest

from speech_endpoint.cli.progress import Bar, printable
from speech_endpoint.cli.recognisers import Advance

pytestmark = pytest.mark.pure

SHARE = re.compile(r"\r *(\d+)%\|")


def _shares(text: str) -> list[int]:
    return [int(share) for share in SHARE.findall(text)]


def test_the_bar_counts_files_by_their_size_and_what_is_done_of_them(capsys) -> None:
    bar = Bar({"small": 100, "large": 300})
    bar.begin()
    bar.advance("large", Advance(30.0, 60.0))
    bar.done("small", 20.0)
    bar.done("large", 60.0)
    bar.close()
    shown = capsys.readouterr().err
    assert {0, 37, 62, 100} >= set(_shares(shown)) >= {0, 100}
    assert "2 of 2 files" in shown and "× real time" in shown
    assert "small: 20 s of audio" in shown


def test_a_single_recordings_newest_text_is_shown_and_steers_no_terminal(capsys) -> None:
    bar = Bar({"call.mp3": 0})
    bar.begin()
    bar.advance("call.mp3", Advance(3.0, 6.0, " Good\x1b[31m"))
    bar.advance("call.mp3", Advance(6.0, 6.0, " morning.\n"))
    bar.failed("call.mp3", "no room")
    bar.close()
    shown = capsys.readouterr().err
    assert "morning." in shown and "\x1b[31m" not in shown
    assert "call.mp3: no room" in shown


def test_a_file_that_is_told_to_go_back_does_not_take_the_bar_with_it(capsys) -> None:
    # An endpoint that is asked again begins again.
    bar = Bar({"a": 10, "b": 10})
    bar.begin()
    bar.advance("a", Advance(9.0, 10.0))
    bar.advance("a", Advance(1.0, 10.0))
    bar.done("a", 10.0)
    bar.close()
    assert max(_shares(capsys.readouterr().err)) == 50


def test_a_name_is_one_line_that_steers_no_terminal() -> None:
    assert printable("a\nb\x1b]0;owned\x07\u202e.mp3") == "a b ]0;owned  .mp3"
    assert printable("Zoë 字.mp3") == "Zoë 字.mp3"
