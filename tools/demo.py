"""Print a recording as a conversation: a file, or the phone call in the pyannote.audio wheel."""

from __future__ import annotations

import importlib.util
import os
import sys
import textwrap
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent


def phone_call() -> bytes:
    """A real telephone conversation of 30 s, FLAC or WAV."""
    package = importlib.util.find_spec("pyannote.audio")
    assert package is not None and package.submodule_search_locations
    return Path(package.submodule_search_locations[0], "sample", "sample.wav").read_bytes()


def listing(turns: Iterable[dict[str, Any]]) -> str:
    """Turns of an answer for a terminal: time, speaker, words, wrapped."""
    lines = []
    for turn in turns:
        start, end = turn["timestamp"]
        head = f"{start:7.2f} – {end:6.2f}  {turn['speaker']}  "
        wrapped = textwrap.wrap(turn["text"].strip(), 100 - len(head)) or [""]
        lines.append(head + ("\n" + " " * len(head)).join(wrapped))
    return "\n".join(lines)


def main() -> None:
    # As the host does.
    sys.path.insert(0, str(REPOSITORY))
    os.environ.setdefault("ASR_MODEL", "models/whisper-base")
    os.environ.setdefault("DIARIZATION_MODEL", "models/speaker-diarization")
    from handler import EndpointHandler

    audio = Path(sys.argv[1]).read_bytes() if len(sys.argv) > 1 else phone_call()
    handler = EndpointHandler(str(REPOSITORY))
    started = time.perf_counter()
    answer = handler({"inputs": audio, "parameters": {"return_timestamps": "word"}})
    seconds = time.perf_counter() - started
    print(listing(answer["speakers"]))
    speakers = {turn["speaker"] for turn in answer["speakers"]}
    print(
        f"\n{answer['duration']:.1f} s of audio in {seconds:.1f} s: "
        f"{len(answer['words'])} words, {len(speakers)} speakers, language {answer['language']}"
    )


if __name__ == "__main__":
    main()
