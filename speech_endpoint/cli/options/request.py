"""A request's options on the command line: those of `InferenceConfig`, so they cannot drift."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from speech_endpoint.cli.options.fields import Command, field_option, given
from speech_endpoint.cli.options.known_speakers import known_option
from speech_endpoint.parameters import InferenceConfig

# Which formats are written is the command's own option.
OWN_OPTION = "response_format"
OTHER_NAMES = {"prompt": ("--initial-prompt",)}
"""What whisperX calls otherwise."""


def request_options(command: Command) -> Command:
    """Give a click command one option for each parameter of a request."""
    for name in reversed(InferenceConfig.model_fields):
        if name != OWN_OPTION:
            command = _option(name)(command)
    return command


def _option(name: str) -> Callable[[Command], Command]:
    if name == "known_speakers":
        return known_option
    field = InferenceConfig.model_fields[name]
    return field_option(name, field, *OTHER_NAMES.get(name, ()))


def given_parameters(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the command's values that are a request's parameters and were given."""
    return given(options, InferenceConfig.model_fields)
