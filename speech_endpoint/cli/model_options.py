"""Options on the command line made of a model's fields, so that the two cannot drift."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args

import click
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from speech_endpoint.parameters import InferenceConfig

# Which formats are written is the command's own option.
OWN_OPTION = "response_format"
OTHER_NAMES = {"prompt": ("--initial-prompt",), "asr_model": ("--model",)}
"""What other programs call otherwise."""
NO_DEFAULTS = (None, "", PydanticUndefined)
"""Of fields that need not be set: the help says what it means, or nothing happens."""

Command = Callable[..., Any]


def request_options(command: Command) -> Command:
    """Give a click command one option for each parameter of a request."""
    fields = InferenceConfig.model_fields
    return field_options(fields, (name for name in fields if name != OWN_OPTION))(command)


def field_options(
    fields: Mapping[str, FieldInfo], names: Iterable[str]
) -> Callable[[Command], Command]:
    """Give a click command one option for each of some fields; those not given are None."""
    options = [_option(name, fields[name]) for name in names]

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _option(name: str, field: FieldInfo) -> Callable[[Command], Command]:
    dashed = name.replace("_", "-")
    help_text = field.description or _choices(field.annotation)
    if field.annotation in (bool, bool | None):
        flags = f"--{dashed}/--no-{dashed}"
        return click.option(flags, name, default=None, help=help_text)
    names = [f"--{dashed}", *OTHER_NAMES.get(name, ()), name]
    default = field.default if field.default not in NO_DEFAULTS else None
    shown = None if default is None else str(default)
    return click.option(*names, metavar="VALUE", help=help_text, show_default=shown)


def _choices(annotation: Any) -> str:
    """What a field that needs no explanation may be."""
    choices = [str(choice).lower() for choice in get_args(annotation)]
    return " or ".join(choice for choice in choices if "<" not in choice and "annot" not in choice)


def given_parameters(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the command's values that are a request's parameters and were given."""
    return given(options, InferenceConfig.model_fields)


def given(options: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Those of the command's values that have one of these names and were given."""
    return {name: options[name] for name in names if options.get(name) is not None}
