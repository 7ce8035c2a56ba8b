"""A request's options on the command line: those of `InferenceConfig`, so they cannot drift."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

import click

from speech_endpoint.cli.known_speakers import known_option
from speech_endpoint.parameters import InferenceConfig

# Which formats are written is the command's own option.
OWN_OPTION = "response_format"
OTHER_NAMES = {"prompt": ("--initial-prompt",)}
"""What whisperX calls otherwise."""

Command = Callable[..., Any]


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
    dashed = name.replace("_", "-")
    if field.annotation in (bool, bool | None):
        flags = f"--{dashed}/--no-{dashed}"
        return click.option(flags, name, default=None, help=field.description)
    names = [f"--{dashed}", *OTHER_NAMES.get(name, ()), name]
    help_text = field.description or _choices(field.annotation)
    return click.option(*names, default=None, metavar="VALUE", help=help_text)


def _choices(annotation: Any) -> str:
    """What a parameter that needs no explanation may be."""
    choices = [str(choice).lower() for choice in get_args(annotation)]
    return " or ".join(choice for choice in choices if "<" not in choice and "annot" not in choice)


def given_parameters(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the command's values that are a request's parameters and were given."""
    return {
        name: value
        for name, value in options.items()
        if name in InferenceConfig.model_fields and value is not None
    }
