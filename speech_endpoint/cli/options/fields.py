"""Options on the command line made of a model's fields, so that the two cannot drift."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args

import click
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

NO_DEFAULTS = (None, "", PydanticUndefined)
"""Of fields that need not be set: the help says what it means, or nothing happens."""

Command = Callable[..., Any]


def field_option(name: str, field: FieldInfo, *other_names: str) -> Callable[[Command], Command]:
    """A click option for a field; where it is not given, its value is None.

    Args:
        name: of the field; the option's has dashes.
        field: says what it may be.
        other_names: of the option.
    """
    dashed = name.replace("_", "-")
    help_text = field.description or _choices(field.annotation)
    if field.annotation in (bool, bool | None):
        flags = f"--{dashed}/--no-{dashed}"
        return click.option(flags, name, default=None, help=help_text)
    if field.default not in NO_DEFAULTS:
        help_text = f"{help_text}  [default: {field.default}]".strip()
    names = (f"--{dashed}", *other_names, name)
    return click.option(*names, default=None, metavar="VALUE", help=help_text)


def _choices(annotation: Any) -> str:
    """What a field that needs no explanation may be."""
    choices = [str(choice).lower() for choice in get_args(annotation)]
    return " or ".join(choice for choice in choices if "<" not in choice and "annot" not in choice)


def given(options: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Those of a command's values that have one of these names and were given."""
    return {name: options[name] for name in names if options.get(name) is not None}
