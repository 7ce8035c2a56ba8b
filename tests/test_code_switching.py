"""Two languages in one recording: real speech, English and then German."""

from __future__ import annotations

import pytest

from audio_decoding import decode_audio


@pytest.mark.parametrize("first_s", [0, 10, 15, 20, 25])
def test_every_chunk_has_its_language(handler, data, wav, first_s: int) -> None:
    """The change is at 30 s: between two windows, or within one, which is halved until each part has one language."""
    speech = decode_audio((data / "formats" / "multilingual.mp3").read_bytes(), 16_000, 60)
    answer = handler({"inputs": wav(speech[first_s * 16_000 : 40 * 16_000]), "parameters": {"diarize": False}})
    said = dict.fromkeys(("en", "de"), "")
    for chunk in answer["chunks"]:
        said[chunk["language"]] += chunk["text"]
        assert chunk["language"] == ("en" if chunk["timestamp"][1] + first_s < 30.5 else "de")
    assert "copies" in said["en"] and "Software" in said["de"]
    assert answer["warnings"] == []
