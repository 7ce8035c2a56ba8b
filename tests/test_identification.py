"""Known voices, from clips and voiceprints to names in the answer.

The conversation is two people who read, one after the other: Kennedy, then Austen's reader.
"""

from __future__ import annotations

import base64
import logging
from typing import Any

import numpy as np
import pytest
from paths import AUSTEN, KENNEDY, PHONE_CALL
from scipy.signal import resample_poly

from speech_endpoint.audio.decoding.decode import decode_audio
from speech_endpoint.errors import InvalidRequest
from speech_endpoint.identification import UnusableClip, embed_voice, enrol
from speech_endpoint.reception import Request
from speech_endpoint.units import finish
from speech_endpoint.voices.voiceprint import Voiceprint

RATE_HZ = 16_000


def read(path) -> np.ndarray:
    return decode_audio(path.read_bytes(), RATE_HZ, 60)


def base64_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.fixture(scope="module")
def speech() -> dict[str, np.ndarray]:
    """The first half of what each says makes the voice known, the second half is the recording."""
    halves = {}
    for name, path in (("kennedy", KENNEDY), ("austen", AUSTEN)):
        halves[name], halves[f"{name} later"] = np.array_split(read(path), 2)
    return halves


@pytest.fixture(scope="module")
def conversation(speech, wav) -> bytes:
    return wav(np.concatenate([speech["kennedy later"], speech["austen later"]]))


@pytest.fixture(scope="module")
def ask(handler):
    """Asks the endpoint with known speakers."""

    def ask(recording: bytes, known: list[dict[str, str]], **parameters: Any) -> dict[str, Any]:
        asked = {"known_speakers": known, "return_timestamps": "word", **parameters}
        return handler({"inputs": recording, "parameters": asked})

    return ask


@pytest.fixture(scope="module")
def voiceprint(handler, speech):
    def make(name: str) -> str:
        return finish(enrol(speech[name], handler.pipeline.diarizer)).voiceprint

    return make


def test_k7_words_turns_chunks_and_subtitles_bear_the_name_and_the_stranger_a_number(
    ask, speech, conversation, wav
):
    known = [{"name": "J. F. Kennedy", "reference": base64_of(wav(speech["kennedy"]))}]
    answer = ask(conversation, known, response_format="srt")
    for part in (answer["words"], answer["chunks"], answer["speakers"]):
        assert {each["speaker"] for each in part} == {"J. F. Kennedy", "SPEAKER_00"}
    assert answer["speakers"][0]["speaker"] == "J. F. Kennedy"
    assert "J. F. Kennedy:" in answer["content"] and "SPEAKER_00:" in answer["content"]
    (found,) = answer["known_speakers"]
    assert found["matched"] and found["speaker"] == found["name"] == "J. F. Kennedy"
    assert found["score"] > 0.5 and 3 < found["seconds"] < 6


def test_k6_names_change_no_word_and_no_time(ask, handler, voiceprint, conversation):
    known = [{"name": name, "reference": voiceprint(name)} for name in ("austen", "kennedy")]
    named = ask(conversation, known)
    plain = handler({"inputs": conversation, "parameters": {"return_timestamps": "word"}})
    assert "known_speakers" not in plain
    numbers = {"kennedy": "SPEAKER_00", "austen": "SPEAKER_01"}
    assert [numbers[turn["speaker"]] for turn in named["speakers"]] == [
        turn["speaker"] for turn in plain["speakers"]
    ]
    assert [(w["text"], w["timestamp"]) for w in named["words"]] == [
        (w["text"], w["timestamp"]) for w in plain["words"]
    ]


def test_k10_strangers_stay_strangers(ask, voiceprint):
    known = [{"name": "SPEAKER_00", "reference": voiceprint("austen")}]
    answer = ask(PHONE_CALL.read_bytes(), known)
    (found,) = answer["known_speakers"]
    assert not found["matched"] and found["seconds"] == 0 and found["score"] < 0.4
    assert found["speaker"] in {turn["speaker"] for turn in answer["speakers"]}
    assert len({turn["speaker"] for turn in answer["speakers"]}) == 2


def test_k10_a_reference_of_two_seconds_and_one_by_telephone_are_enough(
    ask, speech, conversation, wav
):
    narrow = resample_poly(speech["kennedy"], 1, 2).astype(np.float32)
    known = [
        {"name": "kennedy", "reference": base64_of(wav(narrow, rate=8_000))},
        {"name": "austen", "reference": base64_of(wav(speech["austen"][: 2 * RATE_HZ]))},
    ]
    answer = ask(conversation, known)
    assert [turn["speaker"] for turn in answer["speakers"]] == ["kennedy", "austen"]


def test_a_recording_without_words_has_nobody(ask, voiceprint, wav):
    known = [{"name": "austen", "reference": voiceprint("austen")}]
    answer = ask(wav(np.zeros(2 * RATE_HZ, np.float32)), known)
    nobody = {"name": "austen", "matched": False, "speaker": None, "score": None, "seconds": 0.0}
    assert answer["known_speakers"] == [nobody]


def test_who_is_heard_but_says_no_word_is_not_recognised(handler, voiceprint, conversation, wav):
    """As a service finds out, which looks for speakers before it knows of words."""
    pipeline = handler.pipeline
    parameters = {"known_speakers": [{"name": "austen", "reference": voiceprint("austen")}]}
    request = Request.from_host({"inputs": conversation, "parameters": parameters})
    recognition = pipeline.recognition(pipeline.decode(request), request)
    finish(recognition.enrol())
    finish(recognition.diarize())
    nothing = pipeline.transcriber(np.zeros(RATE_HZ, np.float32), request.config)
    (found,) = recognition.conclude([nothing]).known_speakers
    assert not found.matched and found.speaker is None and found.score is None


def test_the_threshold_is_the_callers(ask, voiceprint, conversation):
    known = [{"name": "kennedy", "reference": voiceprint("kennedy")}]
    (found,) = ask(conversation, known, known_speaker_threshold=0.99)["known_speakers"]
    assert not found["matched"] and found["speaker"] == "SPEAKER_00"


def test_k2_a_clip_of_two_voices_is_refused_by_its_number(ask, speech, conversation, wav):
    both = wav(np.concatenate([speech["kennedy"], speech["austen"]]))
    known = [
        {"name": "austen", "reference": base64_of(wav(speech["austen"]))},
        {"name": "kennedy", "reference": base64_of(both)},
    ]
    with pytest.raises(InvalidRequest, match=r"entry 2: reference: holds two voices") as caught:
        ask(conversation, known)
    assert caught.value.field == "parameters.known_speakers"


def test_k2_less_than_a_second_of_speech_is_refused(handler, speech):
    for clip in (np.zeros(5 * RATE_HZ, np.float32), speech["kennedy"][: RATE_HZ // 2]):
        with pytest.raises(UnusableClip, match="at least 1 s"):
            finish(enrol(clip, handler.pipeline.diarizer))


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("UklGRg==", "not an audio file"),
        ("!!!", "not valid base64"),
        ("vp1.00000000.AAAA", "of the embedding model 00000000"),
        ("vp1.x", "damaged voiceprint"),
    ],
)
def test_a_reference_that_cannot_be_used_is_refused(ask, conversation, reference: str, says: str):
    with pytest.raises(InvalidRequest, match=r"^parameters.known_speakers: entry 1: ") as caught:
        ask(conversation, [{"name": "Anna", "reference": reference}])
    assert says in str(caught.value)


def test_a_clip_of_more_than_a_minute_is_refused(ask, conversation, speech, wav):
    long = wav(np.resize(speech["austen"], 61 * RATE_HZ))
    with pytest.raises(InvalidRequest, match=r"entry 1: reference: .*60") as caught:
        ask(conversation, [{"name": "Anna", "reference": base64_of(long)}])
    assert caught.value.code == "too_long"


def test_k3_a_clip_is_embedded_as_the_speakers_of_a_recording_are(handler, speech):
    diarizer = handler.pipeline.diarizer
    voice, _ = finish(embed_voice(speech["kennedy"], diarizer))
    (centroid,) = diarizer(speech["kennedy"]).embeddings.values()
    assert str(voice) == str(Voiceprint.of(diarizer.embedding_model.name, centroid))


def test_k9_where_it_is_off_names_are_refused_and_numbers_remain(
    handler, voiceprint, conversation, monkeypatch
):
    pipeline = handler.pipeline
    off = pipeline.settings.model_copy(update={"disable_speaker_id": True})
    known = [{"name": "kennedy", "reference": voiceprint("kennedy")}]
    monkeypatch.setattr(pipeline, "settings", off)
    with pytest.raises(InvalidRequest, match="DISABLE_SPEAKER_ID") as caught:
        handler({"inputs": conversation, "parameters": {"known_speakers": known}})
    assert caught.value.code == "unavailable"
    answer = handler({"inputs": conversation, "parameters": {}})
    assert [turn["speaker"] for turn in answer["speakers"]] == ["SPEAKER_00", "SPEAKER_01"]


def test_k8_neither_log_nor_answer_holds_a_voice(
    ask, voiceprint, conversation, caplog: pytest.LogCaptureFixture
):
    reference = voiceprint("kennedy")
    with caplog.at_level(logging.DEBUG):
        answer = ask(conversation, [{"name": "Kennedy", "reference": reference}])
        with pytest.raises(InvalidRequest):
            ask(conversation, [{"name": "Kennedy", "reference": reference[:-4]}])
    vector = reference.rpartition(".")[2]
    assert "Kennedy" not in caplog.text
    for text in (caplog.text, str(answer)):
        assert not any(vector[at : at + 12] in text for at in range(0, len(vector) - 12, 12))
