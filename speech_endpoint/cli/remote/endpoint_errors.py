"""Why an endpoint does not answer a file, where the file is not to blame."""

from __future__ import annotations

from speech_endpoint.cli.recognisers import RecogniserError


class EndpointError(RecogniserError):
    """This file could not be transcribed there; others may be."""


class EndpointUnreachable(EndpointError):
    """There is no endpoint at that address, or it does not take the key."""


class EndpointOverloaded(EndpointError):
    """It has no room, after all retries."""
