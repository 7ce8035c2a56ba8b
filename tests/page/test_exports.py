"""What the page saves is what the server would have answered, byte for byte (P-3)."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from itertools import groupby
from typing import Any

import pytest
from paths import REPOSITORY

from speech_endpoint.output.formats import FORMATS, render
from speech_endpoint.transcript import Segment, Transcript, Turn, Word

pytestmark = [
    pytest.mark.pure,
    pytest.mark.skipif(shutil.which("node") is None, reason="needs node"),
]
RENDER = REPOSITORY / "tests" / "page" / "render.mjs"
N_TRANSCRIPTS = 300
TEXT = """
the a of to and but because which we they Mr. Dr. etc. p.m. J. 3. no. No. 1999. well, so; I hello,
hello. world. really? yes! Okay… New York Berlin weil der die
Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen «quoted.» (aside) "said." -- --> <b> &
AT&T co-operate été naïve e\u0301te\u0301 Straße и или что. привет, 123 12. ½ ⅷ 👩‍👩‍👧‍👦 👍🏽 🇩🇪
supercalifragilistic \u200bzero \u00adsoft مرحبا، كيف؟ नमस्ते। ทำงาน ที่ หน้าๆ 한국어 단어.
antidisestablishmentarianism
"""
VOCABULARY = TEXT.split()
UNSPACED = "今日はとても良い天気ですね。「東京」へ行って、カードを買った！你好，世界。ABC株式会社"
NAMES = ("SPEAKER_00", "SPEAKER_01", "A", "Anna Müller", "O'Brien & Sons <x>", "山田太郎", "--> x")


def transcripts() -> list[Transcript]:
    """Texts of many scripts, with pauses, crosstalk and times that meet, the same each time."""
    chance = random.Random(7)
    return [_transcript(chance) for _ in range(N_TRANSCRIPTS)]


def _transcript(chance: random.Random) -> Transcript:
    names = chance.sample(NAMES, chance.randint(1, 4)) if chance.random() < 0.75 else [None]
    speaker, at, segments = chance.choice(names), chance.choice([0.0, 0.003, 12.5]), []
    for _ in range(chance.randint(0, 12)):
        words = []
        for _ in range(chance.randint(1, 25)):
            word, at = _word(chance, at, speaker)
            words.append(word)
        segments.append(Segment(tuple(words), "en"))
        at += chance.choice([0, 0, 0.2, 1.5, 9])
        speaker = chance.choice(names)
    words = [word for segment in segments for word in segment.words]
    turns = tuple(
        Turn(name, tuple(own)) for name, own in groupby(words, lambda word: word.speaker) if name
    )
    ends_at = round(max([at - 0.5, 0]), 3) if chance.random() < 0.5 else round(at + 2, 3)
    return Transcript(tuple(segments), turns, duration_s=ends_at)


def _word(chance: random.Random, at: float, speaker: str | None) -> tuple[Word, float]:
    is_unspaced = chance.random() < 0.2
    text = chance.choice(UNSPACED) if is_unspaced else " " + chance.choice(VOCABULARY)
    length = chance.choice([0, 0.02, 0.1, 0.25, 0.4, 1.2])
    overlap = chance.choice([0, 0, 0, 0.1])
    start, end = round(max(0, at - overlap), 3), round(at + length, 3)
    pause = chance.choice([0, 0, 0, 0.04, 0.3, 0.7, 2])
    return Word(text, start, end, 0.9, speaker), round(end + pause, 3)


def as_answer(transcript: Transcript) -> dict[str, Any]:
    """What the server answers: verbose_json with words and speakers."""
    return {
        "duration": transcript.duration_s,
        "segments": [
            {"start": part.start, "end": part.end, "text": part.text}
            for part in transcript.segments
        ],
        "words": [
            {"word": word.text.strip(), "start": word.start, "end": word.end}
            for word in transcript.words
        ],
        "speakers": [
            {
                "speaker": turn.speaker,
                "words": [
                    {"text": word.text, "timestamp": [word.start, word.end]} for word in turn.words
                ],
            }
            for turn in transcript.turns
        ],
    }


@pytest.fixture(scope="module")
def rendered() -> list[tuple[Transcript, dict[str, str]]]:
    made = transcripts()
    answers = json.dumps([as_answer(each) for each in made])
    ran = subprocess.run(
        ["node", str(RENDER)], input=answers, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return list(zip(made, json.loads(ran.stdout), strict=True))


@pytest.mark.parametrize("response_format", sorted(FORMATS))
def test_the_page_writes_the_bytes_that_the_server_writes(
    rendered: list[tuple[Transcript, dict[str, str]]], response_format: str
) -> None:
    for transcript, page in rendered:
        assert page[response_format] == render(transcript, response_format)
