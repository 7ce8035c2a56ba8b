"""Transcribe and diarize the phone call that the pyannote.audio wheel carries, and print it as a conversation."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))
os.environ.setdefault("ASR_MODEL", "models/whisper-base")
os.environ.setdefault("DIARIZATION_MODEL", "models/speaker-diarization")


def phone_call() -> bytes:
    """A real telephone conversation of 30 s, FLAC or WAV."""
    package = importlib.util.find_spec("pyannote.audio")
    assert package is not None and package.submodule_search_locations
    return Path(package.submodule_search_locations[0], "sample", "sample.wav").read_bytes()


def main() -> None:
    from handler import EndpointHandler
    from speech_endpoint.output.formats import listing
    from speech_endpoint.output.response import AnswerTurn

    audio = Path(sys.argv[1]).read_bytes() if len(sys.argv) > 1 else phone_call()
    handler = EndpointHandler(str(REPOSITORY))
    started = time.perf_counter()
    answer = handler({"inputs": audio, "parameters": {"return_timestamps": "word"}})
    seconds = time.perf_counter() - started
    print(listing([AnswerTurn.model_validate(turn) for turn in answer["speakers"]]))
    voices = {turn["speaker"] for turn in answer["speakers"]}
    print(
        f"\n{answer['duration']:.1f} s of audio in {seconds:.1f} s: "
        f"{len(answer['words'])} words, {len(voices)} speakers, language {answer['language']}"
    )


if __name__ == "__main__":
    main()
