"""Twenty minutes: of nothing, and of people who talk."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from answers import check_answer
from paths import REPOSITORY

SCRIPT = """
import json, sys, numpy as np
sys.path.insert(0, ".")
from speech_endpoint.audio.decoding import decode_audio
from handler import EndpointHandler
import io, wave
call = decode_audio(open(sys.argv[1], "rb").read(), 16_000, 3600)
waveform = np.tile(call, int(20 * 60 * 16_000 / call.size) + 1)[: 20 * 60 * 16_000]
file = io.BytesIO()
with wave.open(file, "wb") as out:
    out.setnchannels(1); out.setsampwidth(2); out.setframerate(16_000)
    out.writeframes((waveform.clip(-1, 1) * 32767).astype("<i2").tobytes())
parameters = {"return_timestamps": "word"}
answer = EndpointHandler(".")({"inputs": file.getvalue(), "parameters": parameters})
# Not getrusage: it inherits the peak of the process that started this one.
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
answer["peak_bytes"] = int(status["VmHWM"].split()[0]) * 1024
json.dump(answer, open(sys.argv[2], "w"))
"""


def test_twenty_minutes_of_silence_have_no_words(handler, wav) -> None:
    answer = handler(
        {"inputs": wav(np.zeros(20 * 60 * 16_000)), "parameters": {"return_timestamps": "word"}}
    )
    check_answer(answer)
    assert answer["text"] == "" and answer["stats"]["steps"] == 0


def test_twenty_minutes_of_conversation_in_three_gigabytes(
    environment: None, data: Path, tmp_path: Path
) -> None:
    audio, result = data / "conversations" / "long_five_speakers.flac", tmp_path / "answer.json"
    subprocess.run(
        [sys.executable, "-c", SCRIPT, str(audio), str(result)], cwd=REPOSITORY, check=True
    )
    answer = json.loads(result.read_text())
    assert answer.pop("peak_bytes") < 3e9
    check_answer(answer)
    assert answer["duration"] == 1200.0
    assert len(answer["words"]) > 3000
    assert 4 <= len({turn["speaker"] for turn in answer["speakers"]}) <= 6
