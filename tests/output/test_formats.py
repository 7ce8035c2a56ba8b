"""Text, subtitles and RTTM, read back as a player or another program would."""

from __future__ import annotations

import html
import itertools
import re

import pytest
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st

from speech_endpoint.output.cues import SubtitleOptions
from speech_endpoint.output.display_text import visible
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
    duration_s=3700.0,
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
        "1\n00:00:06,580 --> 00:00:07,480\nSPEAKER_00: Hello.\n\n"
        "2\n01:01:01,000 --> 01:01:02,100\nSPEAKER_01: R&D <now>?\n\n"
    )


def test_vtt_has_voice_spans_and_escapes_the_text():
    assert render(CALL, "vtt") == (
        "WEBVTT\n\n"
        "00:00:06.580 --> 00:00:07.413\n<v SPEAKER_00>Hello.\n\n"
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


def test_a_name_cannot_break_a_file():
    name = 'Zoë "Z" <b>\nO\'Hara & Co. -->\r\n'
    transcript = Transcript((), (Turn(name, sentence(" Hello", " there.")),), duration_s=10.0)
    assert cues(render(transcript, "srt")) == [
        (0.0, 2.1, 'Zoë "Z" <b> O\'Hara & Co. ->: Hello there.')
    ]
    ((_, _, text),) = cues(render(transcript, "vtt"))
    assert text == '<v Zoë "Z" &lt;b&gt; O\'Hara &amp; Co. --&gt;>Hello there.'
    (line,) = render(transcript, "rttm").splitlines()
    assert line.split()[7] == 'Zoë_"Z"_<b>_O\'Hara_&_Co._-->'


def test_labels_can_be_left_out():
    unlabelled = SubtitleOptions(speaker_labels=False)
    for kind in ("srt", "vtt"):
        assert [text for *_, text in cues(render(CALL, kind, unlabelled))] == [
            "Hello.",
            html.escape("R&D <now>?") if kind == "vtt" else "R&D <now>?",
        ]


@pytest.mark.parametrize("kind", ["srt", "vtt"])
@settings(deadline=None, max_examples=30)
@given(transcript=strategies.any_transcripts)
def test_whatever_is_said_a_player_reads_every_cue(kind: str, transcript: Transcript):
    content = render(transcript, kind)
    content.encode()
    n_arrows = content.count("-->")
    found = cues(content)
    assert len(found) == n_arrows
    assert all(start < end and text.strip() for start, end, text in found)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(found))


@given(strategies.any_transcripts)
def test_voice_spans_bear_the_speakers_names_in_webvtt(transcript: Transcript):
    names = {" ".join(visible(turn.speaker).split()) for turn in transcript.turns}
    for _, _, text in cues(render(transcript, "vtt")):
        tag, name, spoken = re.fullmatch(r"(<v ([^<>\n]+)>)?([^<>]+)", text).groups()  # type: ignore[union-attr]
        assert not tag or html.unescape(name) in names
        assert spoken.strip()


@given(strategies.any_transcripts)
def test_rttm_has_a_line_of_ten_fields_for_each_turn(transcript: Transcript):
    lines = [line.split() for line in render(transcript, "rttm").splitlines()]
    for line, turn in zip(lines, transcript.turns, strict=True):
        assert len(line) == 10 and line[0] == "SPEAKER"
        start, duration = float(line[3]), float(line[4])
        assert start >= 0 and duration > 0
        assert start == pytest.approx(turn.start, abs=0.0011)
        assert start + duration == pytest.approx(max(turn.end, 0.001), abs=0.001)
