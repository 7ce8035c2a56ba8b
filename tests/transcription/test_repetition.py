"""What people say again and again, and what only a loop says."""

from __future__ import annotations

import numpy as np

from speech_endpoint.audio.decoding.decode import decode_audio
from speech_endpoint.transcript import SAMPLE_RATE_HZ

N_TIMES = 8
SAID = {"spk1_snt1": "The child almost hurt the small dog.", "spk2_snt4": "before you go out."}
PAUSES_S = (0.35, 1.0)
# Where a window ends within a sentence, number formats decide whether a word of it is heard twice.
MAX_LOST = 4


def test_sentences_said_eight_times_are_written_eight_times(handler, data, wav) -> None:
    counts = []
    for recording, said in SAID.items():
        file = (data / "utterances" / f"{recording}.flac").read_bytes()
        for pause_s in PAUSES_S:
            pause = np.zeros(round(pause_s * SAMPLE_RATE_HZ), np.float32)
            once = np.concatenate([decode_audio(file, SAMPLE_RATE_HZ, 60), pause])
            parameters = {"diarize": False}
            answer = handler({"inputs": wav(np.tile(once, N_TIMES)), "parameters": parameters})
            counts.append(answer["text"].count(said))
            assert answer["warnings"] == []
    # Taken for loops, they were written one to four times each.
    assert min(counts) > N_TIMES // 2 and max(counts) == N_TIMES
    assert sum(counts) >= N_TIMES * len(counts) - MAX_LOST
