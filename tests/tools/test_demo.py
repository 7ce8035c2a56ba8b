"""What the demonstration prints."""

from __future__ import annotations

import pytest

from tools.demo import listing, phone_call

pytestmark = pytest.mark.pure


def test_a_turn_is_one_line_with_time_and_speaker() -> None:
    turn = {"timestamp": [6.58, 7.22], "speaker": "SPEAKER_00", "text": " Hello."}
    assert listing([turn]) == "   6.58 –   7.22  SPEAKER_00  Hello."


def test_long_turns_are_wrapped_under_their_text() -> None:
    turn = {"timestamp": [0.0, 60.0], "speaker": "SPEAKER_00", "text": " word" * 40}
    first, *others = listing([turn, turn]).splitlines()
    assert all(len(line) <= 100 for line in [first, *others])
    assert others[0].index("word") == first.index("word")
    assert "".join([first, *others]).count("word") == 80


def test_the_phone_call_comes_with_pyannote() -> None:
    assert phone_call()[:4] in (b"RIFF", b"fLaC")
