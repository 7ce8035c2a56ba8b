"""What people say again and again, and what only a loop says."""

from __future__ import annotations

import numpy as np
import pytest

from speech_endpoint.audio.decoding.decode import decode_audio
from speech_endpoint.transcript import SAMPLE_RATE_HZ


@pytest.mark.parametrize(
    ("recording", "said"),
    [("spk1_snt1", "The child almost hurt the small dog."), ("spk2_snt4", "before you go out.")],
)
@pytest.mark.parametrize("pause_s", [0.35, 1.0])
def test_a_sentence_said_eight_times_is_written_eight_times(
    handler, data, wav, recording: str, said: str, pause_s: float
) -> None:
    file = (data / "utterances" / f"{recording}.flac").read_bytes()
    pause = np.zeros(round(pause_s * SAMPLE_RATE_HZ), np.float32)
    once = np.concatenate([decode_audio(file, SAMPLE_RATE_HZ, 60), pause])
    answer = handler({"inputs": wav(np.tile(once, 8)), "parameters": {"diarize": False}})
    assert answer["text"].count(said) == 8
    assert answer["warnings"] == []
