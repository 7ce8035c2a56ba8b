"""Models of the Hub where there is no Hub."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from huggingface_hub import constants

from speech_endpoint.errors import ModelUnavailable
from speech_endpoint.hub import display_name, model_directory

pytestmark = [pytest.mark.pure, pytest.mark.core]

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_verysecret"


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An address where nobody listens, and an empty cache."""
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", "http://127.0.0.1:9")
    return tmp_path


def find(model: str) -> Path:
    return model_directory(model, "ASR_MODEL", lambda names: list(names), TOKEN)


def test_a_directory_is_taken_as_it_is(tmp_path: Path) -> None:
    assert find(str(tmp_path)) == tmp_path


def test_without_a_hub_the_cached_model_serves_within_seconds(no_hub: Path) -> None:
    repository = no_hub / "models--acme--whisper"
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    (snapshot / "config.json").write_text("{}")
    started = time.monotonic()
    assert find("acme/whisper") == snapshot
    assert time.monotonic() - started < 10


def test_a_model_that_is_not_cached_is_named_with_the_remedy(no_hub: Path) -> None:
    with pytest.raises(
        ModelUnavailable, match=r"^ASR_MODEL 'acme/other' is not in .* cannot be"
    ) as e:
        find("acme/other")
    assert "verysecret" not in str(e.value)


@pytest.mark.parametrize("name", ["https://huggingface.co/a/b", "a b", "a/b/c", "../x"])
def test_what_is_no_name_of_the_hub_is_said(no_hub: Path, name: str) -> None:
    with pytest.raises(ModelUnavailable, match="neither a directory nor a Hub name"):
        find(name)


def test_a_token_within_an_address_is_not_shown() -> None:
    assert display_name("https://hf_verysecret@huggingface.co/a/b") == (
        "https://<token>@huggingface.co/a/b"
    )
