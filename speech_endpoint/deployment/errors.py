"""Why a deployment ends, in a sentence that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import httpx2
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError

from speech_endpoint.errors import without_tokens

Cause = Literal["refused", "no_room", "configuration", "failed"]
MAX_QUOTED_CHARACTERS = 300


class DeploymentError(RuntimeError):
    """The endpoint is not as it was wished."""

    def __init__(self, cause: Cause, message: str) -> None:
        """
        Args:
            cause: refused: the Hub does not take the token, or cannot be reached; no_room: no
                hardware or no quota now, or not ready in time; configuration: what was asked for
                cannot be; failed: the endpoint has failed.
            message: for a person; what looks like a token is left out.
        """
        super().__init__(without_tokens(message))
        self.cause: Cause = cause


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn what the Hub's library raises into `DeploymentError`.

    Args:
        doing: what is tried, for the message: "creating the endpoint".
    """
    try:
        yield
    except GatedRepoError as error:
        raise DeploymentError("configuration", f"{doing}: {_said(error)}") from None
    except HfHubHTTPError as error:
        raise _from_status(doing, error) from None
    except HFValidationError as error:
        raise DeploymentError("configuration", f"{doing}: {error}") from None
    except (httpx2.HTTPError, OSError) as error:
        raise DeploymentError(
            "refused", f"{doing}: the Hub cannot be reached ({type(error).__name__})"
        ) from None


def _from_status(doing: str, error: HfHubHTTPError) -> DeploymentError:
    status, said = error.response.status_code, _said(error)
    if status == 401:
        return DeploymentError(
            "refused",
            f"{doing}: the Hub refuses the token (401); take one that may write from"
            " huggingface.co/settings/tokens and set HF_TOKEN, or run `hf auth login`",
        )
    if status == 402:
        return DeploymentError(
            "refused", f"{doing}: the account cannot pay (402): {said}; see hf.co/settings/billing"
        )
    if "quota" in said.lower():
        return DeploymentError(
            "no_room",
            f"{doing}: over the quota ({status}): {said}; `hf endpoints hardware` lists what is"
            " within it, for --instance",
        )
    if status == 403:
        return DeploymentError(
            "refused",
            f"{doing}: the token may not do that (403): {said}; it needs write access to"
            " repositories and to Inference Endpoints",
        )
    if status == 409:
        return DeploymentError(
            "configuration", f"{doing}: the name is taken (409): {said}; choose another one"
        )
    cause: Cause = "no_room" if status == 429 or status >= 500 else "configuration"
    return DeploymentError(cause, f"{doing}: the Hub answers {status}: {said}")


def _said(error: HfHubHTTPError) -> str:
    """The Hub's own words, on one line."""
    said = error.server_message
    if not said:
        try:
            said = str(error.response.json().get("message") or "")
        except (ValueError, AttributeError):
            said = ""
    said = said or str(error)
    return " ".join(said.split())[:MAX_QUOTED_CHARACTERS].rstrip(".")
