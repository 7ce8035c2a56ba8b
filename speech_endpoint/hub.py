"""Models as directories on this machine: those that lie there, and those that the Hub has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from speech_endpoint.errors import ModelUnavailable, without_tokens

TIMEOUT_S = 5.0
"""How long a Hub that does not answer is waited for, before the cache is looked into."""

FileChooser = Callable[[Sequence[str]], list[str]]
"""Which of a repository's files to download."""


def model_directory(model: str, setting: str, choose: FileChooser, token: str | None) -> Path:
    """A model's directory; of the Hub's in its newest version, or as cached if there is no Hub.

    Args:
        model: a directory or a Hub name.
        setting: the variable that names it, for errors.
        choose: which files to download.
        token: for gated models; appears in no message.

    Raises:
        ModelUnavailable: there is no such model, or no way to it.
    """
    if Path(model).is_dir():
        return Path(model)
    name = f"{setting} {display_name(model)!r}"
    # Never None: the library would then read the environment's token itself, with its line end.
    access: str | bool = token or stored_login() or False
    try:
        info = HfApi().model_info(model, timeout=TIMEOUT_S, token=access)
        files = choose([file.rfilename for file in info.siblings or ()])
        return Path(
            snapshot_download(model, allow_patterns=files, token=access, etag_timeout=TIMEOUT_S)
        )
    except HFValidationError:
        raise ModelUnavailable(
            f"{name} is neither a directory nor a Hub name such as openai/whisper-base"
        ) from None
    # What the HTTP library raises differs between versions of huggingface_hub.
    except Exception as error:
        cached = _cached(model)
        if cached is None:
            raise ModelUnavailable(f"{name} {_reason(error, has_token=bool(access))}") from None
        return cached


def display_name(model: str) -> str:
    """How messages call a model: a directory by its last part, and nothing by a token."""
    path = Path(model)
    name = path.name if path.is_absolute() else model
    return without_tokens(name)


def _cached(model: str) -> Path | None:
    try:
        return Path(snapshot_download(model, local_files_only=True))
    except (OSError, ValueError, LocalEntryNotFoundError):
        return None


def stored_login() -> str | None:
    """The token that `hf auth login` has stored."""
    try:
        return Path(constants.HF_TOKEN_PATH).read_text().strip() or None
    except (OSError, ValueError):
        return None


def _reason(error: Exception, *, has_token: bool) -> str:
    """What to do about a model that could not be downloaded and is not cached."""
    token = f"(HF_TOKEN is {'set' if has_token else 'not set'})"
    if isinstance(error, GatedRepoError):
        return (
            "could not be downloaded: accept its conditions on huggingface.co and set HF_TOKEN to a"
            f" token that may read it {token}"
        )
    if isinstance(error, RepositoryNotFoundError):
        return (
            "was not found on the Hub: check the name, and set HF_TOKEN to a token that may read it"
            f" if it is private {token}"
        )
    if isinstance(error, OfflineModeIsEnabled):
        return (
            "is not in the Hub's cache, and HF_HUB_OFFLINE forbids to download it: unset that, or"
            " give a directory"
        )
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, HfHubHTTPError) and status is not None:
        return f"could not be downloaded: the Hub answered with status {status} {token}"
    if isinstance(error, OSError) and error.errno is not None and error.filename:
        return (
            f"could not be stored in the Hub's cache ({error.strerror}): set HF_HOME to a directory"
            " that can be written to and has room"
        )
    return (
        f"is not in the Hub's cache, and the Hub cannot be reached ({type(error).__name__}): allow"
        " the connection, or put the model into the repository and give its directory"
    )
