"""`speech serve`: the server, with options beside the environment."""

from __future__ import annotations

import sys
from typing import Any

import click

from speech_endpoint.cli.exit_codes import ExitCode, failed
from speech_endpoint.cli.options.fields import Command, field_option, given
from speech_endpoint.errors import InvalidSettings
from speech_endpoint.server.settings import ServerSettings

# Secrets are no options: who can see this machine can read its command lines. The others are
# variables of other programs.
NO_OPTIONS = {"api_keys", "hf_token", "cuda_visible_devices", "pyannote_metrics_enabled"}
FIRST = ("host", "port", "asr_model", "diarization_model", "assistant_model")
"""What most people set; the help lists it first."""
FIELDS = ServerSettings.model_fields
NAMES = (*FIRST, *(name for name in FIELDS if name not in NO_OPTIONS and name not in FIRST))
OTHER_NAMES = {"asr_model": ("--model",), "assistant_model": ("--drafter",)}


def setting_options(command: Command) -> Command:
    """Give a click command one option for each setting."""
    for name in reversed(NAMES):
        command = field_option(name, FIELDS[name], *OTHER_NAMES.get(name, ()))(command)
    return command


@click.command()
@setting_options
def serve(**options: Any) -> None:
    """Serve OpenAI's audio API, and a page for people.

    Each option has a variable of the environment by its name: --asr-model is ASR_MODEL. Keys have
    variables alone: API_KEYS, HF_TOKEN. Ctrl-C ends it when its answers are given.
    """
    try:
        settings = ServerSettings(**given(options, NAMES))
    except InvalidSettings as error:
        sys.exit(failed(str(error), ExitCode.CONFIGURATION))
    if sys.stderr.isatty():
        # Somebody looks at it, and there is no balancer that must notice the end.
        at_a_terminal = {"log_format": "text", "drain_delay_s": 0.0}
        for name in at_a_terminal.keys() - settings.model_fields_set:
            setattr(settings, name, at_a_terminal[name])
    try:
        from speech_endpoint.server.run import serve_models
    except ModuleNotFoundError as error:
        message = f"there is no {error.name} here; pip install 'speech-endpoint[server]'"
        sys.exit(failed(message, ExitCode.CONFIGURATION))
    sys.exit(serve_models(settings))
