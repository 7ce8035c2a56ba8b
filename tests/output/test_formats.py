"""Text, subtitles and RTTM, read back as a player or another program would."""

from __future__ import annotations

import html
import re

import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st

from speech_endpoint.output.formats import format_timestamp, render
from speech_endpoint.transcript import Segment, Transcript, Turn, Word

pytestmark = pytest.mark.pure

HOUR_S = 3600.0
CALL = Transcript(
    segments=(Segment((Word(" Hello.", 6.58, 7.22, speaker="SPEAKER_00"),)),),
    turns=(
        Turn("SPEAKER_00", (Word(" Hello.", 6.58, 7.22),)),
        Turn("SPEAKER_01", (Word(" R&D", 3661.0, 3661.5), Word(" <now>?", 3661.5, 3662.0625))),
    ),
)


def sentence(*texts: str, seconds: float = 0.1) -> tuple[Word, ...]:
    return tuple(Word(text, n * seconds, (n + 1) * seconds) for n, text in enumerate(texts))


def cues(subtitles: str) -> list[tuple[float, float, str]]:
    """Start, end and text of each cue of an SRT or WebVTT file."""
    found = []
    for block in subtitles.removeprefix("WEBVTT\n\n").split("\n\n"):
        if not block:
            continue
        lines = block.split("\n")
        if "-->" not in lines[0]:
            lines.pop(0)
        start, end = (seconds(time) for time in lines[0].split(" --> "))
        found.append((start, end, "\n".join(lines[1:])))
    return found


def seconds(timestamp: str) -> float:
    assert re.fullmatch(r"\d{2,}:[0-5]\d:[0-5]\d[.,]\d{3}", timestamp)
    hours, minutes, rest = timestamp.replace(",", ".").split(":")
    return int(hours) * HOUR_S + int(minutes) * 60 + float(rest)


@pytest.mark.parametrize(
    ("time_s", "text"),
    [
        (0.0, "00:00:00.000"),
        (1.0004, "00:00:01.000"),
        (59.9996, "00:01:00.000"),
        (2 * HOUR_S + 62.345, "02:01:02.345"),
        (100 * HOUR_S, "100:00:00.000"),
    ],
)
def test_timestamps_have_hours_and_carry(time_s: float, text: str):
    assert format_timestamp(time_s) == text
    assert format_timestamp(time_s, ",") == text.replace(".", ",")


@given(st.floats(0, 400_000))
def test_timestamps_are_right_to_half_a_millisecond(time_s: float):
    assert seconds(format_timestamp(time_s)) == pytest.approx(time_s, abs=0.00051)


def test_text_is_a_line_a_turn():
    assert render(CALL, "text") == (
        "[00:00:06.5] SPEAKER_00: Hello.\n[01:01:01.0] SPEAKER_01: R&D <now>?\n"
    )


def test_text_without_diarization_is_the_text_alone():
    assert render(Transcript((Segment(sentence(" Hello,", " you.")),)), "text") == "Hello, you.\n"


def test_srt_is_numbered_and_has_a_comma():
    assert render(CALL, "srt") == (
        "1\n00:00:06,580 --> 00:00:07,220\nSPEAKER_00: Hello.\n\n"
        "2\n01:01:01,000 --> 01:01:02,062\nSPEAKER_01: R&D <now>?\n\n"
    )


def test_vtt_has_voice_spans_and_escapes_the_text():
    assert render(CALL, "vtt") == (
        "WEBVTT\n\n"
        "00:00:06.580 --> 00:00:07.220\n<v SPEAKER_00>Hello.\n\n"
        "01:01:01.000 --> 01:01:02.062\n<v SPEAKER_01>R&amp;D &lt;now&gt;?\n\n"
    )


def test_rttm_has_ten_fields_with_start_and_duration():
    assert render(CALL, "rttm").splitlines() == [
        "SPEAKER audio 1 6.580 0.640 <NA> <NA> SPEAKER_00 <NA> <NA>",
        "SPEAKER audio 1 3661.000 1.062 <NA> <NA> SPEAKER_01 <NA> <NA>",
    ]


@pytest.mark.parametrize(
    ("response_format", "empty"), [("text", ""), ("srt", ""), ("vtt", "WEBVTT\n\n"), ("rttm", "")]
)
def test_nothing_said_renders_as_nothing(response_format: str, empty: str):
    assert render(Transcript(()), response_format) == empty


def test_subtitles_without_diarization_name_nobody():
    transcript = Transcript((Segment(sentence(" Hello.")),))
    assert cues(render(transcript, "srt")) == [(0.0, 0.1, "Hello.")]
    assert cues(render(transcript, "vtt")) == [(0.0, 0.1, "Hello.")]


def test_long_lines_wrap_at_42_characters():
    turn = Turn("SPEAKER_00", sentence(*[" twelve char"] * 6))
    ((_, _, text),) = cues(render(Transcript((), (turn,)), "vtt"))
    lines = text.removeprefix("<v SPEAKER_00>").split("\n")
    assert len(lines) == 2 and max(map(len, lines)) <= 42


def test_a_cue_ends_before_its_text_is_too_long_or_on_the_screen_for_too_long():
    crowded = cues(render(Transcript((Segment(sentence(*[" abcdefghi"] * 20)),)), "srt"))
    assert [len(text.replace("\n", " ")) for *_, text in crowded] == [79, 79, 39]
    slow = cues(render(Transcript((Segment(sentence(*[" a"] * 5, seconds=2.5)),)), "srt"))
    assert [(start, end) for start, end, _ in slow] == [(0.0, 5.0), (5.0, 10.0), (10.0, 12.5)]


def test_a_script_without_spaces_is_wrapped_too():
    ((_, _, text),) = cues(
        render(Transcript((Segment(sentence(*"字" * 80, seconds=0.05)),)), "srt")
    )
    assert [len(line) for line in text.split("\n")] == [42, 38]


@given(strategies.transcripts)
def test_no_cue_mixes_speakers_and_no_word_is_lost(transcript: Transcript):
    shown: list[tuple[str, str]] = []
    for _, _, text in cues(render(transcript, "vtt")):
        speaker, spoken = re.fullmatch(r"(?:<v (\w+)>)?(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
        if shown and shown[-1][0] == speaker:
            shown[-1] = speaker, shown[-1][1] + spoken
        else:
            shown.append((speaker, spoken))
    parts = transcript.turns or transcript.segments
    expected: list[tuple[str | None, str]] = []
    for part in parts:
        if expected and expected[-1][0] == part.speaker:
            expected[-1] = part.speaker, expected[-1][1] + part.text
        else:
            expected.append((part.speaker, part.text))
    assert [(who, letters(html.unescape(text))) for who, text in shown] == [
        (who, letters(text)) for who, text in expected
    ]


def letters(text: str) -> str:
    """Without the spaces, which wrapping changes."""
    return "".join(text.split())


@given(strategies.transcripts)
def test_srt_and_vtt_show_the_same_cues(transcript: Transcript):
    srt, vtt = (cues(render(transcript, kind)) for kind in ("srt", "vtt"))
    assert [cue[:2] for cue in srt] == [cue[:2] for cue in vtt]
    assert all(start <= end for start, end, _ in srt)


@given(strategies.transcripts)
def test_rttm_has_a_line_of_ten_fields_for_each_turn(transcript: Transcript):
    lines = [line.split() for line in render(transcript, "rttm").splitlines()]
    assert [line[7] for line in lines] == [turn.speaker for turn in transcript.turns]
    for line, turn in zip(lines, transcript.turns, strict=True):
        assert len(line) == 10
        assert float(line[3]) + float(line[4]) == pytest.approx(turn.end, abs=0.001)
