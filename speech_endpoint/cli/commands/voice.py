"""`speech voice`: a clip to a voiceprint."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from speech_endpoint.cli.exit_codes import ExitCode, exit_code_of
from speech_endpoint.cli.remote.endpoint_errors import EndpointError
from speech_endpoint.errors import InvalidRequest, InvalidSettings, ModelUnavailable

ROUTE = "/v1/audio/voiceprints"


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--start", type=click.FloatRange(min=0), default=0.0, help="Of the part, seconds.")
@click.option("--end", type=click.FloatRange(min=0), help="Of the part, seconds.")
@click.option("--endpoint", envvar="SPEECH_ENDPOINT", metavar="URL", help="Of a server.")
def voice(file: Path, start: float, end: float | None, endpoint: str | None) -> None:
    """Print a voiceprint of the one who talks in FILE, for `speech transcribe --known`.

    It is personal data: keep it as such, and ask whose voice it is.
    """
    try:
        if endpoint is None:
            voiceprint = _made_here(file.read_bytes(), start, end)
        else:
            voiceprint = _made_at(endpoint, file.read_bytes(), start, end)
    except (InvalidSettings, ModelUnavailable) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(ExitCode.CONFIGURATION)
    except (InvalidRequest, EndpointError, OSError) as error:
        click.echo(f"error: {file}: {error}", err=True)
        sys.exit(exit_code_of([error]))
    click.echo(voiceprint)


def _made_here(audio: bytes, start: float, end: float | None) -> str:
    # Only here: the command's help, and work at an endpoint, need no PyTorch.
    from speech_endpoint.config import InferenceConfig, ModelSettings
    from speech_endpoint.pipeline import SpeechPipeline
    from speech_endpoint.reception import Request
    from speech_endpoint.recognition import Clip

    pipeline = SpeechPipeline(ModelSettings())
    try:
        request = Request(audio, InferenceConfig(), clip=Clip(start, end))
        enrolled = pipeline.run(request).enrolled
    finally:
        pipeline.decoder.close()
    assert enrolled is not None
    return enrolled.voiceprint


def _made_at(endpoint: str, audio: bytes, start: float, end: float | None) -> str:
    from speech_endpoint.cli.remote.connect import Keys
    from speech_endpoint.cli.remote.http import EndpointClient

    client = EndpointClient(endpoint.rstrip("/").removesuffix("/v1") + ROUTE, Keys().key)
    part = {"start": str(start)} | ({} if end is None else {"end": str(end)})
    answer = client.post(data=part, files={"file": ("audio", audio)})
    try:
        return str(answer["voiceprint"])
    except (KeyError, TypeError):
        raise EndpointError(f"{endpoint}: not an answer of this project's server") from None
