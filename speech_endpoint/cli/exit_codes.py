"""How the command ends (sysexits.h where it has a code for it)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import click

from speech_endpoint.cli.remote.endpoint_errors import EndpointOverloaded, EndpointUnreachable


class ExitCode(IntEnum):
    """0 is success; 2 is click's own for a command line that is wrong."""

    OK = 0
    SOME_FAILED = 1
    NOTHING_FOUND = 3
    NO_ENDPOINT = 4
    """Not reachable, or it refuses the key."""
    OVERLOADED = 75
    """EX_TEMPFAIL: the endpoint has no room, after all retries."""
    CONFIGURATION = 78
    """EX_CONFIG: a model or a setting that cannot be used."""
    INTERRUPTED = 130


def exit_code_of(errors: Sequence[Exception]) -> ExitCode:
    """What became of a run: the worst of what went wrong with the endpoint, else with files."""
    if any(isinstance(error, EndpointUnreachable) for error in errors):
        return ExitCode.NO_ENDPOINT
    if any(isinstance(error, EndpointOverloaded) for error in errors):
        return ExitCode.OVERLOADED
    return ExitCode.SOME_FAILED if errors else ExitCode.OK


def failed(message: str, code: ExitCode) -> ExitCode:
    """Say why nothing can be done; the code, for the caller to end with."""
    click.echo(f"error: {message}", err=True)
    return code
