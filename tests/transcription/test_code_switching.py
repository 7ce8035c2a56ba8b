"""Two languages in one recording: real speech, English and then German."""

from __future__ import annotations

import numpy as np
import pytest

from speech_endpoint.audio.decoding.decode import decode_audio
from speech_endpoint.whisper.batching.draft_length import DraftPolicy


@pytest.mark.parametrize("first_s", [0, 10, 15, 20, 25])
def test_every_chunk_has_its_language(handler, data, wav, first_s: int) -> None:
    """The change is at 30 s: between two windows, or within one, which is then split until each
    part has one language."""
    speech = decode_audio((data / "formats" / "multilingual.mp3").read_bytes(), 16_000, 60)
    answer = handler(
        {"inputs": wav(speech[first_s * 16_000 : 40 * 16_000]), "parameters": {"diarize": False}}
    )
    said = dict.fromkeys(("en", "de"), "")
    for chunk in answer["chunks"]:
        said[chunk["language"]] += chunk["text"]
        assert chunk["language"] == ("en" if chunk["timestamp"][1] + first_s < 30.5 else "de")
    assert "copies" in said["en"] and "Software" in said["de"]
    assert answer["warnings"] == []


def test_drafting_changes_nothing_where_a_window_is_handed_back(
    handler, data, wav, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The window of two languages leaves its slot to others before the drafter has heard it."""
    always = DraftPolicy(max_probe_cost=1.0)
    monkeypatch.setattr(handler.pipeline.transcriber, "draft_policy", always)
    speech = decode_audio((data / "formats" / "multilingual.mp3").read_bytes(), 16_000, 60)[
        15 * 16_000 : 40 * 16_000
    ]
    audio = wav(np.concatenate([speech, speech]))
    plain, assisted = (
        handler({"inputs": audio, "parameters": {"diarize": False, "assisted": drafted}})
        for drafted in (False, True)
    )
    assert "acceptance_rate" in assisted["stats"] and "acceptance_rate" not in plain["stats"]
    assert {chunk["language"] for chunk in plain["chunks"]} == {"en", "de"}
    assert (assisted["text"], assisted["chunks"]) == (plain["text"], plain["chunks"])
