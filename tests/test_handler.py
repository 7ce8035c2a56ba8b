"""The endpoint's answer to real recordings: its promises, its words, its speakers."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from answers import check_answer
from paths import AUSTEN, KENNEDY, PHONE_CALL

from benchmarks.signals import SIGNALS, signal
from speech_endpoint.audio.decoding.decode import decode_audio
from speech_endpoint.whisper.batching.draft_length import DraftPolicy

pytestmark = pytest.mark.core
WORDS = {"return_timestamps": "word"}


def test_formats_of_one_recording_give_one_text(handler, data: Path) -> None:
    texts = {
        handler({"inputs": (data / "formats" / f"sample1.{kind}").read_bytes()})["text"]
        .lower()
        .strip(" .")
        for kind in ("flac", "wav")
    }
    assert len(texts) == 1


@pytest.mark.parametrize("form", ["standard", "url-safe", "unpadded", "lines", "data-url", "bytes"])
def test_every_form_of_inputs_is_the_same_audio(handler, form: str) -> None:
    audio = KENNEDY.read_bytes()
    text = base64.b64encode(audio).decode()
    inputs = {
        "standard": text,
        "url-safe": base64.urlsafe_b64encode(audio).decode(),
        "unpadded": text.rstrip("="),
        "lines": "\n".join(text[n : n + 76] for n in range(0, len(text), 76)),
        "data-url": "data:audio/wav;base64," + text,
        "bytes": audio,
    }[form]
    answer = handler({"inputs": inputs, "parameters": {"diarize": False}})
    assert "your country" in answer["text"]
    assert answer["speakers"] == []


def test_a_phone_call_has_its_words_and_two_speakers(handler) -> None:
    answer = handler({"inputs": PHONE_CALL.read_bytes()})
    assert "originally from Chicago" in answer["text"]
    assert {turn["speaker"] for turn in answer["speakers"]} == {"SPEAKER_00", "SPEAKER_01"}
    assert answer["language"] == "en"
    assert set(answer["timings"]) >= {"decode", "asr", "diarization", "total"}
    assert "words" not in answer and "words" not in answer["speakers"][0]


@pytest.mark.parametrize(("rate_hz", "channels"), [(48_000, 2), (32_000, 1), (16_000, 3)])
def test_channels_and_rates_change_neither_times_nor_words(
    handler, wav, rate_hz: int, channels: int
) -> None:
    waveform = decode_audio(KENNEDY.read_bytes(), 16_000, 60)
    # The same sound at the other rate; a container's rate wins over the parameter.
    resampled = np.repeat(waveform, rate_hz // 16_000)
    audio = wav(np.stack([resampled] * channels), rate_hz)
    answer = handler({"inputs": audio, "parameters": {"sampling_rate": 8_000, "diarize": False}})
    assert answer["duration"] == pytest.approx(11.0, abs=0.02)
    assert "your country" in answer["text"]


def test_headerless_pcm_is_read_at_the_rate_that_is_given(handler) -> None:
    waveform = decode_audio(KENNEDY.read_bytes(), 16_000, 60)
    pcm = (waveform[::2].clip(-1, 1) * 32767).astype("<i2").tobytes()
    answer = handler({"inputs": pcm, "parameters": {"sampling_rate": 8_000, "diarize": False}})
    assert answer["duration"] == pytest.approx(11.0, abs=0.02)
    assert "your country" in answer["text"]


def test_a_video_gives_its_audio_track(handler, tmp_path: Path) -> None:
    import av

    source = KENNEDY
    video = tmp_path / "talk.mp4"
    with av.open(str(source)) as audio, av.open(str(video), "w") as out:
        picture = out.add_stream("mpeg4", rate=10)
        picture.width, picture.height, picture.pix_fmt = 64, 64, "yuv420p"
        sound = out.add_stream("aac", rate=16_000, layout="mono")
        for shade in range(80):
            image = av.VideoFrame.from_ndarray(
                np.full((64, 64, 3), shade, np.uint8), format="rgb24"
            )
            out.mux(picture.encode(image.reformat(format="yuv420p")))
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=16_000)
        for frame in [*audio.decode(audio=0), None]:
            for resampled in resampler.resample(frame):
                out.mux(sound.encode(resampled))
        out.mux(picture.encode(None))
        out.mux(sound.encode(None))
    assert (
        "your country"
        in handler({"inputs": video.read_bytes(), "parameters": {"diarize": False}})["text"]
    )


@pytest.mark.parametrize("seconds", [0.01, 0.3, 5.0])
def test_silence_is_an_empty_answer(handler, wav, seconds: float) -> None:
    answer = handler({"inputs": wav(np.zeros(int(seconds * 16_000))), "parameters": WORDS})
    check_answer(answer)
    assert answer["text"] == "" and answer["chunks"] == [] and answer["speakers"] == []


def test_noise_gives_no_words(handler, data: Path) -> None:
    files = sorted((data / "edge").iterdir())
    assert files
    for file in files:
        assert handler({"inputs": file.read_bytes()})["text"] == "", file


@pytest.mark.parametrize("sound", SIGNALS)
def test_noise_and_tones_have_no_words(sound: str, handler, wav) -> None:
    assert handler({"inputs": wav(signal(sound))})["text"] == ""


def test_assisted_gives_the_same_answer(handler, monkeypatch: pytest.MonkeyPatch) -> None:
    # Whether a draft model is tried is a matter of the clock; here it is.
    always = DraftPolicy(max_probe_cost=1.0)
    monkeypatch.setattr(handler.pipeline.transcriber, "draft_policy", always)
    audio = PHONE_CALL.read_bytes()
    plain = handler({"inputs": audio, "parameters": WORDS})
    assisted = handler({"inputs": audio, "parameters": WORDS | {"assisted": True}})
    assert assisted["stats"]["acceptance_rate"] > 0.2
    for answer in (plain, assisted):
        del answer["timings"], answer["stats"]
    assert assisted == plain


def test_the_batch_size_changes_no_word(handler) -> None:
    wishes = [{"batch_size": n, "diarize": False, "chunk_length_s": 8} for n in (1, 3, 24)]
    answers = [handler({"inputs": PHONE_CALL.read_bytes(), "parameters": p}) for p in wishes]
    assert len({answer["text"] for answer in answers}) == 1
    assert answers[0]["stats"]["steps"] > answers[2]["stats"]["steps"]


def test_the_prompt_steers_the_spelling(handler) -> None:
    audio = PHONE_CALL.read_bytes()
    wish = {"prompt": "Names: Dyane, Sheyla.", "diarize": False}
    assert "Sheyla" not in handler({"inputs": audio, "parameters": {"diarize": False}})["text"]
    assert "Sheyla" in handler({"inputs": audio, "parameters": wish})["text"]


def test_a_prompt_that_repeats_itself_is_not_carried_on(handler) -> None:
    prompt = "the patient was stable. " * 200
    wish = {"prompt": prompt, "diarize": False}
    answer = handler({"inputs": KENNEDY.read_bytes(), "parameters": wish})
    assert "your country" in answer["text"] and "patient" not in answer["text"]
    assert any("repeats itself" in warning for warning in answer["warnings"])


def test_threads_are_each_given_their_own_answer(handler) -> None:
    plain = {"diarize": False}
    requests = [
        ({"inputs": AUSTEN.read_bytes(), "parameters": plain}, "amiable woman"),
        ({"inputs": KENNEDY.read_bytes(), "parameters": plain}, "your country"),
        ({"inputs": "%%%"}, "inputs: "),
        ({"inputs": AUSTEN.read_bytes(), "parameters": {"batch_size": 0}}, "batch_size"),
    ] * 2

    def told(request: dict) -> str:
        try:
            return handler(request)["text"]
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor(len(requests)) as threads:
        answers = list(threads.map(told, [request for request, _ in requests]))
    assert all(says in answer for answer, (_, says) in zip(answers, requests, strict=True))


def test_the_language_is_detected_and_another_may_be_asked_for(handler) -> None:
    english = handler({"inputs": AUSTEN.read_bytes()})
    assert english["language"] == "en" and "amiable woman" in english["text"]
    german, detected = (
        handler({"inputs": KENNEDY.read_bytes(), "parameters": wish})
        for wish in ({"language": "german"}, {})
    )
    # How well it translates, which it was not made for, is the model's affair.
    assert german["language"] == "de" and german["text"] != detected["text"]


def test_german_is_translated(handler, data: Path) -> None:
    audio = (data / "formats" / "multilingual.mp3").read_bytes()
    wishes = [{"diarize": False}, {"diarize": False, "task": "translate"}]
    texts = [handler({"inputs": audio, "parameters": wish})["text"] for wish in wishes]
    assert " die " in texts[0] and " die " not in texts[1]
    assert texts[1].count("software") > texts[0].count("software")


@pytest.mark.parametrize("response_format", ["text", "srt", "vtt", "rttm"])
def test_renderings_hold_the_conversation(handler, response_format: str) -> None:
    audio = PHONE_CALL.read_bytes()
    answer = handler({"inputs": audio, "parameters": {"response_format": response_format}})
    content = answer["content"]
    assert "SPEAKER_01" in content
    if response_format == "rttm":
        fields = [line.split() for line in content.splitlines()]
        assert all(len(line) == 10 and float(line[4]) >= 0 for line in fields) and len(
            fields
        ) == len(answer["speakers"])
    else:
        assert "Chicago" in content
        assert content.startswith({"text": "[", "srt": "1\n", "vtt": "WEBVTT\n"}[response_format])


def test_no_timestamps_means_no_chunks(handler) -> None:
    audio = KENNEDY.read_bytes()
    answer = handler({"inputs": audio, "parameters": {"return_timestamps": False}})
    assert answer["text"] and answer["chunks"] == []


def test_the_answer_is_json(handler) -> None:
    answer = handler({"inputs": KENNEDY.read_bytes(), "parameters": {"colour": "red"}})
    assert json.loads(json.dumps(answer)) == answer
    assert [w for w in answer["warnings"] if "colour" in w]
