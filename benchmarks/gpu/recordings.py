"""What is heard on a GPU, where nothing is packed: decoding takes PyAV."""

from __future__ import annotations

from benchmarks import corpus
from speech_endpoint.audio.decoding.decode import decode_audio
from speech_endpoint.transcript import SAMPLE_RATE_HZ, Waveform

RECORDINGS = (
    "conversations/phone_call.flac",
    "formats/benchmark_8s.wav",
    "conversations/ami_trn07.flac",
    "conversations/two_speakers.flac",
    "conversations/four_speakers.flac",
)
CLIPS = ("austen.flac", "kennedy.ogg")
"""Of the tests: where there are no other recordings."""


def read_recordings() -> dict[str, Waveform]:
    """The recordings that are there, by name."""
    files = [corpus.DATA / name for name in RECORDINGS]
    files = [file for file in files if file.is_file()]
    files = files or [corpus.REPOSITORY / "tests" / "data" / name for name in CLIPS]
    return {file.stem: decode_audio(file.read_bytes(), SAMPLE_RATE_HZ, 3600.0) for file in files}
